package cron

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/admin"
)

// lossy is a connection whose answer to a batch of a leader is lost, once: the server has carried it out.
type lossy struct {
	net.Conn
	lose *atomic.Pointer[func()] // called then; nil: nothing is to be lost
	sent atomic.Bool
}

func (c *lossy) Write(p []byte) (int, error) {
	if bytes.Contains(p, []byte("\x00\x00\x00\x04here")) { // the holder, as a parameter
		c.sent.Store(true)
	}
	return c.Conn.Write(p)
}

func (c *lossy) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err != nil || !c.sent.CompareAndSwap(true, false) {
		return n, err
	}
	if do := c.lose.Swap(nil); do != nil {
		(*do)()
		c.Conn.Close()
		return 0, errors.New("the connection was cut")
	}
	return n, nil
}

// leadLossy leads. After lose, the answer to the next batch that makes or starts runs is lost, and do called.
func (c *cronTest) leadLossy(term int64) (lose func(do func())) {
	c.t.Helper()
	var hook atomic.Pointer[func()]
	own, config := c.pool, c.pool.Config()
	dial := config.ConnConfig.DialFunc
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &lossy{Conn: conn, lose: &hook}, err
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		c.t.Fatal(err)
	}
	c.t.Cleanup(pool.Close)
	c.pool = pool
	c.lead(term)
	c.pool = own
	return func(do func()) { hook.Store(&do) }
}

// The answer to a start is lost, and before the repetition another session locks the row: it starts when the lock has
// gone.
func TestLostAnswerToAStartAndALock(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(3)
	lose := c.leadLossy(1)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), errNoDisk)
	unlock := make(chan func(), 1)
	lose(func() { unlock <- c.lockRow(1 * minute) })
	c.at(2 * minute)
	c.none(started)
	pgtest.Within(t, "the lock", unlock)()
	c.at(2*minute + deferFor)
	c.finish(c.next(started, 1*minute, 2), nil)
	c.die()
	c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 2, ""},
		attemptRow{2 * minute, "schedule", "skipped", 0, overlapError})
}

// The answer to an insert is lost, and before the repetition the job is paused: the row is there, and so the tick
// starts.
func TestLostAnswerToAnInsertAndAPause(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.leadLossy(1)(func() {
		if err := (admin.CronJobs{}).Pause(context.Background(), c.pool, "job"); err != nil {
			t.Error(err)
		}
	})
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), nil)
	c.die()
	c.wantRuns(runRow{1 * minute, "ok", ""})
}
