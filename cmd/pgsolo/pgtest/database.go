package pgtest

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"os"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// cloneBound limits what a test waits for its database.
const cloneBound = 30 * time.Second

// suite is what the tests of one package share: a server and a migrated template database.
type suite struct {
	migrate []func(ctx context.Context, url string) error

	mu       sync.Mutex // guards what follows
	opened   bool       // open was tried; its error is kept
	err      error
	server   *privatepg.Server // nil where PGSOLO_TEST_URL names the server
	base     *url.URL
	template string
	strategy string // of create database, with a space before it
}

// Database returns the URL of a new database, a copy of the migrated template. It is dropped when the test and its
// subtests have ended, also with sessions still on it.
func Database(t testing.TB) string {
	t.Helper()
	if current == nil {
		t.Fatal("pgtest.Database needs pgtest.Main in TestMain")
	}
	return current.database(t)
}

// database makes and later drops a copy of the template.
func (s *suite) database(t testing.TB) string {
	t.Helper()
	if err := s.open(); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(context.Background(), cloneBound)
	defer cancel()
	name := databaseName(t.Name())
	if err := s.admin(ctx, s.cloneDatabase(name)); err != nil {
		t.Fatalf("clone database for test: %v", err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), cloneBound)
		defer cancel()
		if err := s.admin(ctx, dropDatabase(name)); err != nil {
			t.Errorf("drop database of test: %v", err)
		}
	})
	return s.url(name)
}

// open starts the server on first use. All later calls return the outcome of the first.
func (s *suite) open() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.opened {
		return s.err
	}
	s.opened = true
	s.err = s.prepare(context.Background())
	return s.err
}

// prepare is bounded by privatepg.Start and, for the migrations, by cloneBound.
func (s *suite) prepare(ctx context.Context) error {
	address := os.Getenv("PGSOLO_TEST_URL")
	if address == "" {
		server, err := privatepg.Start(ctx, privatepg.Options{Memory: true, Progress: os.Stderr})
		if err != nil {
			return err
		}
		s.server = server
		if server.Major() >= 15 {
			// The other strategy, wal_log, takes longer on a server that need not sync.
			// The user's server keeps its default: file_copy makes it write a checkpoint.
			s.strategy = ` strategy file_copy`
		}
		address = server.URL("postgres")
	}
	base, err := url.Parse(address)
	if err != nil || !strings.HasPrefix(base.Scheme, "postgres") {
		return errors.New("use PGSOLO_TEST_URL: it is not a URL such as postgres://user@host/postgres")
	}
	s.base = base
	ctx, cancel := context.WithTimeout(ctx, cloneBound)
	defer cancel()
	template := databaseName("template")
	if err := s.admin(ctx, `create database `+quote(template)); err != nil {
		return fmt.Errorf("create template database: %w", err)
	}
	s.template = template
	for _, migrate := range s.migrate {
		if err := migrate(ctx, s.url(template)); err != nil {
			return fmt.Errorf("migrate template database: %w", err)
		}
	}
	return nil
}

// close stops the server, or drops the template on the user's.
func (s *suite) close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.server != nil {
		return s.server.Stop()
	}
	if s.template == "" {
		return nil
	}
	ctx, cancel := context.WithTimeout(context.Background(), cloneBound)
	defer cancel()
	if err := s.admin(ctx, dropDatabase(s.template)); err != nil {
		return fmt.Errorf("drop template database: %w", err)
	}
	return nil
}

// admin runs one statement on a connection of its own, so that tests that run in parallel do not wait for one another.
func (s *suite) admin(ctx context.Context, statement string) error {
	conn, err := pgx.Connect(ctx, s.base.String())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, statement)
	return err
}

func (s *suite) url(database string) string {
	to := *s.base
	to.Path, to.RawPath = "/"+database, ""
	return to.String()
}

func (s *suite) cloneDatabase(name string) string {
	return `create database ` + quote(name) + ` template ` + quote(s.template) + s.strategy
}

func dropDatabase(name string) string {
	return `drop database if exists ` + quote(name) + ` with (force)`
}

func quote(name string) string { return pgx.Identifier{name}.Sanitize() }

var unsafe = regexp.MustCompile(`[^a-z0-9]+`)

// databaseName is recognizable, unique on any server, and below PostgreSQL's limit of 63 bytes.
func databaseName(test string) string {
	readable := strings.Trim(unsafe.ReplaceAllString(strings.ToLower(test), "_"), "_")
	return "pgsolo_" + readable[:min(len(readable), 36)] + "_" + strings.ToLower(rand.Text()[:16])
}
