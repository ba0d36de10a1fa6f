package eventlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// losing is a connection that ends instead of bringing the answer to the next commit, once it is armed.
type losing struct {
	net.Conn
	armed, pending atomic.Bool
	atOnce         bool // before the server has answered
}

var errCut = errors.New("the connection was cut")

func (c *losing) Write(p []byte) (int, error) {
	if bytes.Equal(p[:min(8, len(p))], []byte{0, 0, 0, 16, 0x04, 0xd2, 0x16, 0x2e}) {
		return 0, errCut // or pgx would ask the server to cancel what is under way
	}
	n, err := c.Conn.Write(p)
	if err == nil && bytes.Contains(p, []byte("commit\x00")) && c.armed.Swap(false) {
		c.pending.Store(true)
		if c.atOnce {
			c.Conn.Close()
		}
	}
	return n, err
}

func (c *losing) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.pending.Load() {
		c.Conn.Close()
		return 0, errCut
	}
	return n, err
}

// loseCommit makes the commit of a transaction get lost.
func loseCommit(tx pgx.Tx) { tx.Conn().PgConn().Conn().(*losing).armed.Store(true) }

func losingPool(t *testing.T, pool *pgxpool.Pool, atOnce bool) *pgxpool.Pool {
	t.Helper()
	config := pool.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &losing{Conn: conn, atOnce: atOnce}, err
	}
	lossy, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(lossy.Close)
	return lossy
}

// The commit has happened, and its answer is lost: neither first attempts nor retries are handled again.
func TestLostAnswerToACommit(t *testing.T) {
	pool := setupEffects(t)
	lossy := losingPool(t, pool, false)
	failed := make(chan struct{}, 10)
	l := leadWith(t, 1, Options{Pool: lossy, Subscribe: jobstest.Listen(t, pool), Handlers: []Handler{{
		Name: "h", Topic: "t", Batch: 10, Retry: jobs.Retry{Backoff: 1},
		HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
			loseCommit(tx)
			if e.ID == 1 && e.Attempt == 1 {
				failed <- struct{}{}
				return errors.New("not yet")
			}
			return leaveEffect(ctx, tx, e)
		},
	}}})
	emitNumbers(t, pool, 1)
	pgtest.Within(t, "the first attempt", failed)
	settled(t, pool, 1)
	wantEffects(t, pool, "1/2")
	emitNumbers(t, pool, 5)
	settled(t, pool, 6)
	l.quit()
	wantEffects(t, pool, "1/2", "2/1", "3/1", "4/1", "5/1", "6/1")
	if s := l.runner.Stats().Handlers[0]; s.Handled != 6 || s.Failed != 1 {
		t.Errorf("stats: %+v", s)
	}
}

// The connection is lost while the server still commits: whether it will is not known before it has.
func TestLostConnectionDuringACommit(t *testing.T) {
	pool := setupEffects(t)
	jobstest.MustExec(t, pool,
		`create function slow() returns trigger
			language plpgsql as $$ begin perform pg_advisory_xact_lock(7); return null; end $$`)
	jobstest.MustExec(t, pool,
		`create constraint trigger slow after insert on effect deferrable initially deferred
			for each row execute function slow()`)
	gate := jobstest.Begin(t, pool)
	if _, err := gate.Exec(t.Context(), `select pg_advisory_xact_lock(7)`); err != nil {
		t.Fatal(err)
	}
	attempts := make(chan int, 10)
	l := leadWith(t, 1, Options{Pool: losingPool(t, pool, true), Subscribe: jobstest.Listen(t, pool),
		Handlers: []Handler{{
			Name: "h", Topic: "t", HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
				loseCommit(tx)
				attempts <- e.Attempt
				return leaveEffect(ctx, tx, e)
			},
		}}})
	emitNumbers(t, pool, 1)
	pgtest.Within(t, "the attempt", attempts)
	pgtest.Eventually(t, "the worker to wait for the outcome", func() bool {
		return pgtest.Value[int](t, pool,
			`select count(*) from pg_stat_activity where datname = current_database()
				and wait_event_type = 'Lock'`) == 2
	})
	jobstest.Commit(t, gate)
	settled(t, pool, 1)
	l.quit()
	wantEffects(t, pool, "1/1")
	if len(attempts) != 0 {
		t.Error("handled again although it was committed")
	}
}

// A commit that is lost and has not happened is tried again at once, and costs no attempt; when that goes on, it costs
// one.
func TestLostCommit(t *testing.T) {
	for name, test := range map[string]struct {
		losses int
		retry  bool
		want   []string
	}{
		"twice":      {2, false, []string{"1/1", "2/1", "3/1"}},
		"of a retry": {2, true, []string{"1/1", "2/2", "3/1"}},
		"for good":   {1000, false, []string{"1/1", "3/1"}},
	} {
		t.Run(name, func(t *testing.T) {
			pool := setupEffects(t)
			jobstest.MustExec(t, pool, `create sequence commits`)
			jobstest.MustExec(t, pool, `create function die() returns trigger language plpgsql as $$ begin
				if new.event_id = 2 and nextval('commits') <= `+fmt.Sprint(test.losses)+` then
					perform pg_terminate_backend(pg_backend_pid());
					perform pg_sleep(10);
				end if;
				return null;
			end $$`)
			jobstest.MustExec(t, pool,
				`create constraint trigger die after insert on effect deferrable initially deferred
					for each row execute function die()`)
			retry := jobs.Retry{Attempts: 1}
			if test.retry {
				retry = jobs.Retry{Attempts: 2, Backoff: time.Millisecond}
			}
			l := lead(t, pool, 1,
				Handler{Name: "h", Topic: "t", Batch: 3, Retry: retry,
					HandleTx: func(ctx context.Context, tx pgx.Tx, e Event) error {
						if test.retry && e.ID == 2 && e.Attempt == 1 {
							return errors.New("not yet")
						}
						return leaveEffect(ctx, tx, e)
					}})
			emitNumbers(t, pool, 3)
			settled(t, pool, 3)
			l.quit()
			wantEffects(t, pool, test.want...)
			if n := l.runner.Stats().Handlers[0].Handled; n != int64(len(test.want)) {
				t.Errorf("%d handled, want %d", n, len(test.want))
			}
			if n := pgtest.Value[int](t, pool,
				`select count(*) from pgsolo.dead_letter where event_id = 2`); n != 3-len(test.want) {
				t.Errorf("%d dead letters, want %d", n, 3-len(test.want))
			}
		})
	}
}
