package eventlog

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/keys"
	"github.com/pgsolo/pgsolo/jobs/internal/wake"
)

// setupDead makes the first of three events of key k a dead letter.
func setupDead(t *testing.T, onDead OnDead) (o *orders, h Handler, fix func()) {
	o = newOrders(t)
	broken := true
	o.fail = func(e Event) error {
		if e.ID == 1 && broken {
			return errNotNow
		}
		return nil
	}
	h = o.handler(2)
	h.OnDead, h.Retry.Attempts = onDead, 2
	return o, h, func() { o.set(func() { broken = false }) }
}

func TestDeadLetterLetsItsKeyPass(t *testing.T) {
	for attempts := 1; attempts <= 2; attempts++ {
		t.Run(fmt.Sprint(attempts, " attempts"), func(t *testing.T) {
			pool := jobstest.Pool(t)
			o, h, fix := setupDead(t, OnDeadContinue)
			h.Retry.Attempts = attempts
			emitKeys(t, pool, "k", 3)
			l := lead(t, pool, 1, h)
			o.check(2)
			fix()
			pgtest.Eventually(t, "the dead letter", func() bool {
				return pgtest.Value[int](t, pool, `select pgsolo.replay('h', 1)`) == 1
			})
			pgtest.Eventually(t, "its success", func() bool { return o.count() == 3 })
			l.quit()
			if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 0 {
				t.Errorf("%d deliveries left", n)
			}
		})
	}
}

func TestDeadLetterBlocksItsKey(t *testing.T) {
	for name, test := range map[string]struct {
		change string
		events int
	}{
		"until it is replayed":  {`select pgsolo.replay('h', 1)`, 5},
		"until it is discarded": {`select pgsolo.discard('h', 1)`, 4},
	} {
		for takeover, when := range map[string]bool{"": false, " under the next leader": true} {
			t.Run(name+takeover, func(t *testing.T) {
				pool := jobstest.Pool(t)
				o, h, fix := setupDead(t, OnDeadBlockKey)
				l := lead(t, pool, 1, h)
				events := test.events
				emitKeys(t, pool, "k", 3)
				pgtest.Eventually(t, "the dead letter", func() bool { return deliveries(t, pool, "dead") == 1 })
				emitKey(t, pool, "k")
				emitKey(t, pool, "other")
				o.check(1)
				pgtest.Eventually(t, "the others to wait", func() bool { return deliveries(t, pool, "waiting") == 3 })
				if when {
					l.quit()
					l = lead(t, pool, 2, h)
					emitKey(t, pool, "other")
					o.check(2)
					events++
				}
				fix()
				pgtest.Value[int](t, pool, test.change)
				o.check(events)
				id := emitKey(t, pool, "k")
				o.check(events + 1)
				l.quit()
				if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 0 {
					t.Errorf("%d deliveries left after event %d", n, id)
				}
			})
		}
	}
}

// What waits behind others of its key is not lost when the handler has no order any more.
func TestOrderIsGivenUp(t *testing.T) {
	pool := jobstest.Pool(t)
	o, h, _ := setupDead(t, OnDeadBlockKey)
	l := lead(t, pool, 1, h)
	emitKeys(t, pool, "k", 3)
	pgtest.Eventually(t, "the others to wait", func() bool { return deliveries(t, pool, "waiting") == 2 })
	l.quit()
	h.Order, h.OnDead, h.Concurrency = OrderNone, "", 1
	l = lead(t, pool, 2, h)
	pgtest.Eventually(t, "the others", func() bool { return o.count() == 2 })
	l.quit()
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`); n != 1 {
		t.Errorf("%d deliveries left, want the dead letter", n)
	}
}

// That a dead letter is gone is noticed at once with a bell, and soon without.
func TestDiscardIsNoticed(t *testing.T) {
	for name, bell := range map[string]bool{"with a bell": true, "without": false} {
		t.Run(name, func(t *testing.T) {
			limit := pgtest.Patience
			if bell {
				limit = cursor.DueEvery / 2
			}
			pgtest.Quickly(t, limit, func() time.Duration {
				pool := jobstest.Pool(t)
				o, h, _ := setupDead(t, OnDeadBlockKey)
				messages := make(chan string)
				l := leadWith(t, 1, Options{Pool: pool, Handlers: []Handler{h},
					Subscribe: func(string) (jobs.Subscription, error) {
						return jobs.Subscription{Messages: messages, Close: func() {}}, nil
					}})
				emitKeys(t, pool, "k", 3)
				pgtest.Eventually(t, "the dead letter", func() bool {
					return deliveries(t, pool, "dead") == 1 && deliveries(t, pool, "waiting") == 2
				})
				jobstest.MustExec(t, pool, `delete from pgsolo.delivery where state = 'dead'`)
				began := time.Now()
				if bell {
					messages <- wake.RetryMessage
				}
				o.check(2)
				took := time.Since(began)
				l.quit()
				return took
			})
		})
	}
}

// Nothing of the key is left, of which no message came. Its next event does not wait.
func TestNextEventOfADiscardedKey(t *testing.T) {
	pgtest.Quickly(t, cursor.DueEvery/2, func() time.Duration {
		pool := jobstest.Pool(t)
		o, h, _ := setupDead(t, OnDeadBlockKey)
		l := lead(t, pool, 1, h)
		emitKey(t, pool, "k")
		pgtest.Eventually(t, "the dead letter", func() bool { return deliveries(t, pool, "dead") == 1 })
		jobstest.MustExec(t, pool, `delete from pgsolo.delivery`)
		began := time.Now()
		emitKey(t, pool, "k")
		o.check(1)
		took := time.Since(began)
		l.quit()
		return took
	})
}

// A leader that has ended between a success and the due query for the next one of the key leaves any number of keys
// behind whose turn it is.
func TestTakeoverOfKeysWhoseTurnItIs(t *testing.T) {
	pgtest.Quickly(t, cursor.DueEvery, func() time.Duration {
		pool := jobstest.Pool(t)
		o, h, _ := setupDead(t, OnDeadBlockKey)
		const n = 5 * keys.MaxCandidates
		for _, statement := range []string{
			`insert into pgsolo.event (topic, key) select 't', 'k' || n / 2 from generate_series(1, $1::int) n`,
			`insert into pgsolo.delivery
					(handler, event_id, topic, key, payload, headers, created_at, attempt, state, error)
				select 'h', id, topic, key, payload, headers, created_at, 0, 'waiting', '' from pgsolo.event
					where id <= $1`,
			`insert into pgsolo.cursor (handler, done) values ('h', int8multirange(int8range(1, $1 + 1)))`,
		} {
			jobstest.MustExec(t, pool, statement, n)
		}
		began := time.Now()
		l := lead(t, pool, 1, h)
		o.check(n - 1) // the first one fails, and has a key of its own
		took := time.Since(began)
		l.quit()
		return took
	})
}
