package eventlog

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/admin"
	"github.com/pgsolo/pgsolo/jobs/emit"
)

// A replayed event gets all its attempts again, from the copy that its delivery keeps, and is a dead letter again or
// done.
func TestDeadLetterIsReplayed(t *testing.T) {
	pool := jobstest.Pool(t)
	var broken atomic.Bool
	broken.Store(true)
	events := make(chan Event, 100)
	lead(t, pool, 1, Handler{
		Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 2, Backoff: time.Millisecond},
		Handle: func(_ context.Context, e Event) error {
			events <- e
			if broken.Load() {
				return errors.New("target is down")
			}
			return nil
		},
	})
	id, err := emit.Producer{}.Emit(t.Context(), pool, emit.Event{Topic: "t", Key: "k", Payload: []byte(`{"n": 1}`)})
	if err != nil {
		t.Fatal(err)
	}
	attempts := func(want ...int) {
		t.Helper()
		for _, n := range want {
			if e := pgtest.Within(t, "an attempt", events); e.ID != id || e.Attempt != n ||
				string(e.Payload) != `{"n": 1}` || e.Key != "k" {
				t.Errorf("got %+v, want attempt %d at event %d", e, n, id)
			}
		}
	}
	dead := func() {
		t.Helper()
		pgtest.Eventually(t, "the dead letter", func() bool {
			letter, err := admin.DeadLetters{}.Get(t.Context(), pool, "h", id)
			return err == nil && letter.Attempts == 2 && letter.Error == "target is down"
		})
	}
	replay := func() {
		t.Helper()
		if n, err := (admin.DeadLetters{}).Replay(t.Context(), pool,
			admin.DeadLetterFilter{Handler: "h", EventID: id}); n != 1 || err != nil {
			t.Fatalf("replayed %d, %v, want 1", n, err)
		}
	}
	attempts(1, 2)
	dead()
	replay() // while the event is still in the log
	attempts(1, 2)
	dead()
	jobstest.MustExec(t, pool, `delete from pgsolo.event`)
	broken.Store(false)
	replay()
	attempts(1)
	pgtest.Eventually(t, "the delivery to be done", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`) == 0
	})
	if len(events) != 0 {
		t.Errorf("%d more attempts", len(events))
	}
}
