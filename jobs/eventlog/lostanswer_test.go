package eventlog

import (
	"bytes"
	"context"
	"errors"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// interrupted is a connection that ends instead of bringing the answer to a statement with a text in its arguments.
// What happens then, happens before the statement can be repeated.
type interrupted struct {
	net.Conn
	with    []byte
	happens *atomic.Pointer[func()] // once
	pending func()
}

func (c *interrupted) Write(p []byte) (int, error) {
	n, err := c.Conn.Write(p)
	if err == nil && bytes.Contains(p, c.with) {
		if happens := c.happens.Swap(nil); happens != nil {
			c.pending = *happens
		}
	}
	return n, err
}

func (c *interrupted) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	if err == nil && c.pending != nil {
		c.pending()
		c.Conn.Close()
		return 0, errCut
	}
	return n, err
}

// The write that makes a dead letter is carried out, its answer is lost, and the letter is replayed before the write is
// repeated: the replay stands, and the event is attempted.
func TestReplayBeforeAWriteIsRepeated(t *testing.T) {
	t.Parallel()
	pool := jobstest.Pool(t)
	config, replayed := pool.Config(), make(chan struct{})
	dial := config.ConnConfig.DialFunc
	var happens atomic.Pointer[func()]
	replay := func() {
		defer close(replayed)
		pgtest.Eventually(t, "the dead letter", func() bool {
			return pgtest.Value[int](t, pool, `select count(*) from pgsolo.dead_letter`) == 1
		})
		jobstest.MustExec(t, pool, `select pgsolo.replay('h')`)
	}
	happens.Store(&replay)
	config.ConnConfig.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		conn, err := dial(ctx, network, address)
		return &interrupted{Conn: conn, with: []byte("fails as it should"), happens: &happens}, err
	}
	lossy, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer lossy.Close()
	attempts := make(chan int, 10)
	l := leadWith(t, 1, Options{Pool: lossy, Topics: []Topic{{Name: "*"}}, Handlers: []Handler{{
		Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 2, Backoff: time.Millisecond, MaxBackoff: time.Millisecond},
		Handle: func(_ context.Context, e Event) error {
			select {
			case <-replayed:
				attempts <- e.Attempt
				return nil
			default:
			}
			if e.Attempt == 2 {
				return errors.New("fails as it should")
			}
			return errors.New("fails")
		}}}})
	jobstest.Emit(t, pool, "t", `1`)
	if n := pgtest.Within(t, "the attempt after the replay", attempts); n != 1 {
		t.Errorf("attempt %d after the replay, want 1", n)
	}
	pgtest.Eventually(t, "nothing left", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`) == 0
	})
	l.quit()
}
