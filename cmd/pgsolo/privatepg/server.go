package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
)

// startBound is how long PostgreSQL may take from initdb to its first connection. A download is not part of it.
const startBound = 60 * time.Second

// maxSocketPath is how long the path of a unix socket may be where it is shortest: 104 bytes on macOS with the final
// zero.
const maxSocketPath = 103

// Options say what a Server is like. The zero value is a temporary server on a unix socket.
type Options struct {
	// Dir keeps the data from one server to the next. It is made if need be, and one server at a time can use it.
	// Empty: the data is temporary, is not synced to disk, and goes away with the server.
	Dir string

	// Settings are added to those of PostgreSQL, by their names in postgresql.conf, and win over the package's own.
	Settings map[string]string

	// TCP asks for a free port on the loopback interface, with a random password, where a unix socket is the default.
	TCP bool

	// Memory keeps temporary data on a memory file system where the machine has one with 2 GB to spare. Databases are
	// then copied several times as fast.
	Memory bool

	// CacheDir keeps downloaded programs. Default: pgsolo below the user's cache folder, and /var/cache/pgsolo for
	// root.
	CacheDir string

	Progress io.Writer    // shows a download as it goes; default: none
	Logger   hclog.Logger // default: none
}

// Server is a PostgreSQL of this process's own. It ends with Stop, and with this process at the latest. Its methods may
// be called concurrently, except that Halt and Resume alternate.
type Server struct {
	supervisor *supervisor
	logger     hclog.Logger
	run        string // folder of the socket, the log and temporary data
	data       string // data folder
	lock       *os.File
	major      int // version of PostgreSQL
	address    address

	done     chan struct{} // closed by watch or Stop, once
	watchers sync.WaitGroup
	stopOnce sync.Once
	stopErr  error

	mu      sync.Mutex // guards what follows
	current *execution
	halting bool // the end of the current execution is wanted
	ended   bool // done is closed
	err     error
}

// address is where a server listens. An empty password means the unix socket in host.
type address struct {
	host     string
	port     int
	password string
}

// Start finds PostgreSQL, downloads it where there is none, and starts a server. It returns once the server accepts
// connections, which takes about a second, or with an error that says what to do, and then nothing is left behind. It
// ends early when ctx is done; after it has returned, ctx is of no concern to the server. The caller calls Stop.
func Start(ctx context.Context, opts Options) (*Server, error) {
	account, err := chooseAccount()
	if err != nil {
		return nil, err
	}
	args := supervisorArgs{run: filepath.Join(account.tempDir(opts.Memory && opts.Dir == ""), "pgsolo-"+randomName(8))}
	args.data = filepath.Join(args.run, "data")
	tcp := opts.TCP || len(filepath.Join(args.run, ".s.PGSQL.5432")) > maxSocketPath
	if args.settings, err = opts.settings(tcp); err != nil {
		return nil, err
	}
	password, major := randomName(16), 0
	if opts.Dir != "" {
		folder, err := openDataFolder(ctx, opts.Dir, account)
		if err != nil {
			return nil, err
		}
		args.data, args.lock, args.durable, major = folder.data, folder.lock, true, folder.major
		if folder.password != "" {
			password = folder.password
		}
	}
	address := address{host: args.run, port: 5432}
	if tcp {
		address.host, address.port, address.password = "127.0.0.1", 0, password
	}
	server := &Server{
		address: address, logger: opts.logger(), run: args.run, data: args.data, lock: args.lock,
		done: make(chan struct{}),
	}
	if err := server.launch(ctx, opts, newFinder(account, major), args, password); err != nil {
		return nil, errors.Join(err, server.Stop())
	}
	return server, nil
}

// launch does the part of Start that Stop undoes.
func (s *Server) launch(ctx context.Context, opts Options, finder finder, args supervisorArgs, password string) error {
	programs, err := provide(ctx, finder, opts)
	if err != nil {
		return err
	}
	args.bin, s.major = programs.folder, programs.major
	if s.supervisor, err = startSupervisor(finder.account, args); err != nil {
		return err
	}
	s.supervisor.command("password " + password)
	if err := s.resume(ctx); err != nil {
		return err
	}
	s.logger.Info("private postgresql started",
		"major_version", programs.major, "folder", args.data, "user", finder.account.String())
	return nil
}

// URL returns a connection URL for a database of the server, as a superuser. It holds the password where the server
// listens on a port.
func (s *Server) URL(database string) string {
	to := url.URL{Scheme: "postgres", User: url.User("postgres"), Path: "/" + database}
	query := url.Values{}
	if s.address.password != "" {
		to.User = url.UserPassword("postgres", s.address.password)
		to.Host = net.JoinHostPort(s.address.host, strconv.Itoa(s.address.port))
		query.Set("sslmode", "disable")
	} else {
		query.Set("host", s.address.host)
		query.Set("port", strconv.Itoa(s.address.port))
	}
	to.RawQuery = query.Encode()
	return to.String()
}

// Major returns the major version of PostgreSQL.
func (s *Server) Major() int { return s.major }

// Done is closed when the server has ended for good: by Stop, or by itself. A halted server has not.
func (s *Server) Done() <-chan struct{} { return s.done }

// Err returns why the server ended by itself, with the last lines of its log, and nil while it runs or after Stop.
func (s *Server) Err() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.err
}

// Stop shuts the server down fast, that is with its sessions cut off, and removes its folder. A shutdown that takes
// longer than five seconds becomes an immediate one; 20 seconds is the limit. Further calls return what the first one
// returned.
func (s *Server) Stop() error {
	s.stopOnce.Do(func() {
		s.mu.Lock()
		s.halting = true
		s.mu.Unlock()
		if s.supervisor != nil {
			s.stopErr = s.supervisor.end(s.run)
		}
		if s.lock != nil {
			s.lock.Close()
		}
		s.watchers.Wait()
		s.finish(nil)
	})
	return s.stopErr
}

// finish closes done once, and keeps the first reason.
func (s *Server) finish(reason error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended {
		return
	}
	s.ended, s.err = true, reason
	close(s.done)
}

// watch waits for the end of one execution. Each execution has one such goroutine; Stop joins them.
func (s *Server) watch(e *execution) {
	<-e.ended
	s.mu.Lock()
	wanted := s.halting
	s.mu.Unlock()
	if !wanted {
		s.finish(s.explain(e))
	}
}

// explain tells why PostgreSQL ended, by the end of its log.
func (s *Server) explain(e *execution) error {
	text := s.supervisor.complaints()
	if log, err := os.ReadFile(filepath.Join(s.run, "log")); err == nil {
		text = strings.TrimSpace(text + "\n" + lastLines(string(log), 20))
	}
	return fmt.Errorf("run PostgreSQL: it ended with %s:\n%s", e.status, text)
}

func lastLines(text string, n int) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// awaitReady returns once a connection succeeds.
func (s *Server) awaitReady(ctx context.Context, e *execution) error {
	ctx, cancel := context.WithTimeoutCause(ctx, startBound, fmt.Errorf("no connection within %s", startBound))
	defer cancel()
	retry := time.NewTicker(10 * time.Millisecond)
	defer retry.Stop()
	var lastErr error
	for {
		conn, err := pgx.Connect(ctx, s.URL("postgres"))
		if err == nil {
			return conn.Close(ctx)
		}
		if ctx.Err() == nil {
			lastErr = err
		}
		select {
		case <-e.ended:
			return s.explain(e)
		case <-ctx.Done():
			return fmt.Errorf("start PostgreSQL: %w (last: %v)", context.Cause(ctx), lastErr)
		case <-retry.C:
		}
	}
}
