package eventlog

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// Whatever is done by hand to the rows of events that failed or wait, while a leader lives and one of them is under
// way: the leader goes on with all else.
func TestDeliveriesAreChangedByHand(t *testing.T) {
	for name, statement := range map[string]string{
		"deleted":         `delete from pgsolo.delivery`,
		"truncated":       `truncate pgsolo.delivery`,
		"parked":          `update pgsolo.delivery set next_at = 'infinity' where next_at is not null`,
		"due since ever":  `update pgsolo.delivery set next_at = '-infinity' where next_at is not null`,
		"more attempts":   `update pgsolo.delivery set attempt = -5, next_at = now()`,
		"no attempts":     `update pgsolo.delivery set attempt = 2147483647, next_at = now()`,
		"created never":   `update pgsolo.delivery set created_at = 'infinity', next_at = now()`,
		"created ever":    `update pgsolo.delivery set created_at = '-infinity', next_at = now()`,
		"headers":         `update pgsolo.delivery set headers = '["x"]', next_at = now()`,
		"payload":         `update pgsolo.delivery set payload = 'null', next_at = now()`,
		"without keys":    `update pgsolo.delivery set key = null`,
		"of another key":  `update pgsolo.delivery set key = 'another'`,
		"topic":           `update pgsolo.delivery set topic = 'another'`,
		"dead":            `update pgsolo.delivery set state = 'dead', next_at = null`,
		"waiting":         `update pgsolo.delivery set state = 'waiting', next_at = null`,
		"again":           `update pgsolo.delivery set state = 'retry', attempt = 0, next_at = now()`,
		"other events":    `update pgsolo.delivery set event_id = event_id + 1000`,
		"another handler": `update pgsolo.delivery set handler = 'another'`,
	} {
		for _, order := range []Order{OrderNone, OrderKey} {
			t.Run(name+", order "+string(order), func(t *testing.T) {
				t.Parallel()
				pool := jobstest.Pool(t)
				underWay, finish, handled := make(chan struct{}, 100), make(chan struct{}), make(chan string, 100)
				h := Handler{
					Name: "h", Topic: "t", Concurrency: 4, Order: order,
					Retry: jobs.Retry{Attempts: 2, Backoff: time.Hour},
					Handle: func(_ context.Context, e Event) error {
						switch {
						case string(e.Payload) == `"dead"`:
							return jobs.Discard(errors.New("fails"))
						case string(e.Payload) == `"slow"` && e.Attempt == 1:
							return jobs.RetryAfter(time.Millisecond, errors.New("fails"))
						case string(e.Payload) == `"slow"`:
							underWay <- struct{}{}
							<-finish
							return nil
						case string(e.Payload) == `"fails"`:
							return errors.New("fails")
						}
						handled <- string(e.Payload)
						return nil
					},
				}
				l := lead(t, pool, 1, h)
				jobstest.MustExec(t, pool, `
					select pgsolo.emit('t', '"dead"', key => 'a'), pgsolo.emit('t', '"fails"', key => 'b'),
					pgsolo.emit('t', '1', key => 'b'), pgsolo.emit('t', '"slow"', key => 'c'),
					pgsolo.emit('t', '2', key => 'c', deliver_at => now() + interval '1 hour')`)
				pgtest.Within(t, "the slow event", underWay)
				want := 4
				if order == OrderKey {
					want = 5
				}
				pgtest.Eventually(t, "all rows", func() bool {
					return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`) == want
				})
				jobstest.MustExec(t, pool, statement)
				jobstest.MustExec(t, pool, `select pg_notify('pgsolo.event', 'retry')`)
				close(finish)
				jobstest.MustExec(t, pool, `select pgsolo.emit('t', '"new"', key => 'd')`)
				for {
					select {
					case payload := <-handled:
						if payload != `"new"` {
							continue
						}
					case err := <-l.ended:
						t.Fatalf("the leader has ended: %v", err)
					case <-time.After(pgtest.Patience):
						t.Fatal("waited too long for a new event")
					}
					break
				}
				// The due queries go on as well.
				jobstest.MustExec(t, pool, `select pgsolo.emit('t', '"later"', key => 'e',
					deliver_at => clock_timestamp() + interval '100 ms')`)
				for pgtest.Within(t, "a delayed event", handled) != `"later"` {
				}
				pgtest.Eventually(t, "nothing due", func() bool {
					return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery
						where handler = 'h' and topic = 't'
							and state in ('retry', 'scheduled') and next_at < now()`) == 0
				})
				l.quit()
				jobstest.MustExec(t, pool, `select pgsolo.replay(everything => true)`)
				l = lead(t, pool, 2, h)
				jobstest.Emit(t, pool, "t", `"next term"`)
				for pgtest.Within(t, "an event of the next term", handled) != `"next term"` {
				}
				l.quit()
			})
		}
	}
}
