package election_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// beReplica is the environment variable that makes this test binary a replica. Its value is a replicaConfig.
const beReplica = "PGSOLO_TEST_REPLICA"

// replicaConfig says what a replica process does.
type replicaConfig struct {
	URL, Name, Holder, Witness string
	Lease, PollInterval        time.Duration

	AskHeld bool          // ask Term.Held before each mark, as one should before an effect that nothing else fences
	Ignore  time.Duration // how long it works on when it should stop
	Work    string        // what it runs while it leads, in a session that bears the term; default: no such session
}

// replicaMain is the whole of a replica process. It ends with code 3 when the leadership was lost.
func replicaMain() {
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin) // until the test's process is gone
		os.Exit(4)
	}()
	switch err := runReplica(os.Getenv(beReplica)); {
	case errors.Is(err, election.ErrLost):
		os.Exit(3)
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

func runReplica(text string) error {
	var c replicaConfig
	if err := json.Unmarshal([]byte(text), &c); err != nil {
		return err
	}
	config, err := pgx.ParseConfig(c.URL)
	if err != nil {
		return err
	}
	file, err := os.OpenFile(c.Witness, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	elector, err := election.New(election.Options{
		Config: config, Name: c.Name, Holder: c.Holder, Lease: c.Lease, PollInterval: c.PollInterval,
		Logger: hclog.New(&hclog.LoggerOptions{Name: c.Holder, Output: os.Stdout, TimeFormat: "15:04:05.000"}),
		Check: func(_ context.Context, conn *pgx.Conn) error {
			fmt.Printf("session %d\n", conn.PgConn().PID())
			return nil
		},
	})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	return elector.Run(ctx, func(ctx context.Context, term election.Term) error {
		m := &marker{file: file, holder: c.Holder, term: term, askHeld: c.AskHeld}
		m.mark(begins)
		if c.Work == "" {
			m.work(ctx, c.Ignore)
			return nil
		}
		return runWork(ctx, config, c.Work, term, func() { m.work(ctx, c.Ignore) })
	})
}

// runWork runs SQL beside f, in a session that ends after f, whatever becomes of ctx.
func runWork(ctx context.Context, config *pgx.ConnConfig, sql string, term election.Term, f func()) error {
	ctx, cancel := context.WithCancel(context.WithoutCancel(ctx))
	defer cancel()
	config = config.Copy()
	config.RuntimeParams["application_name"] = term.Session
	config.RuntimeParams["client_connection_check_interval"] = "200"
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		f()
		return err
	}
	var running sync.WaitGroup
	running.Go(func() { _, _ = conn.Exec(ctx, sql) })
	f()
	cancel()
	running.Wait()
	closing, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	return conn.Close(closing)
}

// process is a replica that a test runs: what fails there fails the test.
type process struct {
	*fleet.Process
	t      *testing.T
	holder string
}

func (p *process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.Signal(s); err != nil {
		p.t.Fatal(err)
	}
}

// exit waits for the end and returns the exit code.
func (p *process) exit() int {
	p.t.Helper()
	pgtest.Within(p.t, "the end of "+p.holder, p.Ended())
	code, err := p.Exit(context.Background())
	if err != nil {
		p.t.Fatal(err)
	}
	return code
}

// wantLost waits for the end of a replica that has lost the leadership.
func (p *process) wantLost() {
	p.t.Helper()
	if code := p.exit(); code != 3 {
		p.t.Errorf("%s ended with code %d, want 3", p.holder, code)
	}
}

func (p *process) wantAlive() {
	p.t.Helper()
	if p.HasEnded() {
		p.t.Errorf("%s has ended with code %d", p.holder, p.exit())
	}
}

var sessionLine = regexp.MustCompile(`(?m)^session (\d+)$`)

// backend is the process id, in the server, of the latest session of this replica that queues or leads.
func (p *process) backend() int {
	found := sessionLine.FindAllStringSubmatch(p.Output(), -1)
	if found == nil {
		return 0
	}
	pid, err := strconv.Atoi(found[len(found)-1][1])
	if err != nil {
		p.t.Fatal(err)
	}
	return pid
}

// logs waits until the output contains a text.
func (p *process) logs(text string) {
	p.t.Helper()
	pgtest.Eventually(p.t, p.holder+" to log "+text, func() bool { return strings.Contains(p.Output(), text) })
}
