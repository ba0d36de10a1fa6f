package election_test

import (
	"bytes"
	"context"
	"errors"
	"sync"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// stuckLog is an output that takes no line with a text, nor what comes after it, until it is released.
type stuckLog struct {
	text     string
	once     sync.Once
	stuck    chan struct{} // closed when a line waits
	released chan struct{}
}

func newStuckLog(text string) *stuckLog {
	return &stuckLog{text: text, stuck: make(chan struct{}), released: make(chan struct{})}
}

func (s *stuckLog) Write(line []byte) (int, error) {
	if bytes.Contains(line, []byte(s.text)) {
		s.once.Do(func() { close(s.stuck) })
		<-s.released
	}
	return len(line), nil
}

// A log that blocks holds up neither the cutoff nor the end of the process.
func TestLogBlocks(t *testing.T) {
	t.Parallel()
	t.Run("no progress", func(t *testing.T) {
		t.Parallel()
		log := newStuckLog("makes no progress")
		wedged, unhealthy := make(chan struct{}), make(chan error, 1)
		r := &replica{
			t: t, leading: make(chan election.Term, 1), cause: make(chan error, 1), ended: make(chan error, 1),
		}
		r.start(pgtest.Database(t), func(ctx context.Context, term election.Term) error {
			r.leading <- term
			<-ctx.Done()
			r.cause <- context.Cause(ctx)
			<-log.released // it ignores its context
			return nil
		}, briefly, logTo(log), func(o *election.Options) {
			o.Unhealthy = func(err error) { unhealthy <- err }
			o.Healthy = func() error {
				select {
				case <-wedged:
					return errors.New("wedged")
				default:
					return nil
				}
			}
		})
		defer close(log.released)
		term := pgtest.Within(t, "leader", r.leading)
		close(wedged)
		pgtest.Within(t, "a line that waits", log.stuck)
		pgtest.Within(t, "loss", r.cause)
		if term.Held() {
			t.Error("a leader that has lost holds its term")
		}
		pgtest.Within(t, "the end of the process", unhealthy)
	})
	t.Run("beginning", func(t *testing.T) {
		t.Parallel()
		log := newStuckLog("leading")
		unhealthy := make(chan error, 1)
		r := setup(t, pgtest.Database(t), briefly, logTo(log), func(o *election.Options) {
			o.Unhealthy = func(err error) { unhealthy <- err }
			o.Healthy = func() error { return errors.New("wedged") }
		})
		defer close(log.released)
		pgtest.Within(t, "a line that waits", log.stuck)
		pgtest.Within(t, "the end of the process", unhealthy)
		if role := r.elector.Status().Role; role != election.Outside {
			t.Errorf("role %s after the loss", role)
		}
	})
}

func logTo(log *stuckLog) func(*election.Options) {
	return func(o *election.Options) { o.Logger = hclog.New(&hclog.LoggerOptions{Output: log}) }
}
