package eventlog

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// leaveTopic leaves the events 1 to 5 done in a topic that the handler has left, and nothing else that says so.
func leaveTopic(t *testing.T) *restart {
	r, l := setupDone(t)
	l.quit()
	l = r.lead(func(h *Handler) { h.Topic = "u" })
	pgtest.Eventually(t, "the other topic", func() bool {
		return pgtest.Value[string](t, r.pool, `select coalesce(max(topic), '') from pgsolo.cursor`) == "u"
	})
	l.quit()
	jobstest.MustExec(t, r.pool, `update pgsolo.cursor set done = '{}'; update pgsolo.log set checked_id = 0`)
	return r
}

// A sequence that is raised is raised above what is done in topics that handlers have left.
func TestSequenceIsRaisedAboveALeftTopic(t *testing.T) {
	r := leaveTopic(t)
	jobstest.MustExec(t, r.pool, `delete from pgsolo.event where id <> 3; select setval('pgsolo.event_id_seq', 1)`)
	l := r.lead(func(h *Handler) { h.Topic = "u" })
	pgtest.Eventually(t, "the sequence to be raised", func() bool {
		return pgtest.Value[int64](t, r.pool, `select last_value from pgsolo.event_id_seq`) > 1
	})
	l.quit()
	r.emit(r.pool, "a", "b")
	l = r.lead()
	r.wants("in the topic that it is back in", "a", "b")
	l.quit()
}

// What is done in a topic that the handler has left is compared when it comes back.
func TestCounterThatWentBackBelowALeftTopic(t *testing.T) {
	r := leaveTopic(t)
	jobstest.MustExec(t, r.pool, resets["sequence set back"])
	r.emit(r.pool, "a", "b")
	l := r.lead()
	r.wants("in the topic that it is back in", "a", "b")
	r.emit(r.pool, "c", "d", "e", "f")
	r.wants("later", "c", "d", "e", "f")
	l.quit()
}

// What a handler has taken out of the log waits until it is back at the topic: whatever has its name meanwhile, of this
// or of another group, neither gets it nor waits behind it, and it does not go on by a replay either.
func TestDeliveriesOfALeftTopicWait(t *testing.T) {
	for name, test := range map[string]struct {
		group string
		h     Handler
	}{
		"none":          {"main", Handler{}},
		"order":         {"main", Handler{Order: OrderKey, OnDead: OnDeadBlockKey}},
		"another group": {"b", Handler{Order: OrderKey, OnDead: OnDeadBlockKey}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			pool := jobstest.Pool(t)
			handled, fails := make(chan string, 100), true
			run := func(term int64, group, topic string) *leader {
				h := test.h
				h.Name, h.Topic, h.Retry = "h", topic, jobs.Retry{Attempts: 2, Backoff: time.Hour}
				h.Handle = func(_ context.Context, e Event) error {
					switch {
					case e.Topic == "t" && fails && string(e.Payload) == `"dead"`:
						return jobs.Discard(errors.New("fails"))
					case e.Topic == "t" && fails:
						return errors.New("fails")
					case string(e.Payload) == `"again"` && e.Attempt == 1:
						return jobs.RetryAfter(time.Millisecond, errors.New("fails"))
					}
					handled <- strings.Trim(string(e.Payload), `"`)
					return nil
				}
				return leadWith(t, term, Options{Pool: pool, Group: group, Handlers: []Handler{h},
					Topics: []Topic{{Name: "*"}}, Subscribe: jobstest.Listen(t, pool)})
			}
			jobstest.MustExec(t, pool, `
				select pgsolo.emit('t', '"dead"', key => 'd'), pgsolo.emit('t', '"retry"', key => 'k'),
				pgsolo.emit('t', '"waits"', key => 'k'),
				pgsolo.emit('t', '"dated"', key => 'l', deliver_at => now() + interval '1 hour')`)
			l := run(1, "main", "t")
			pgtest.Eventually(t, "the rows of the topic", func() bool {
				return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`) == 4
			})
			l.quit()
			const rows = `select array_agg(d::text order by event_id) from pgsolo.delivery d where topic = 't'`
			jobstest.MustExec(t, pool, `update pgsolo.delivery set next_at = now() - interval '1 hour'
				where state in ('scheduled', 'retry')`)
			before := pgtest.Value[[]string](t, pool, rows)
			jobstest.MustExec(t, pool, `select pgsolo.emit('u', '"again"', key => 'k'),
				pgsolo.emit('u', '"behind"', key => 'k'), pgsolo.emit('u', '"free"', key => 'd')`)
			l = run(2, test.group, "u")
			want := map[string]bool{"again": true, "behind": true, "free": true}
			for len(want) > 0 {
				got := pgtest.Within(t, fmt.Sprint("events ", want), handled)
				if !want[got] {
					t.Fatalf("the handler of the other topic has got %s", got)
				}
				delete(want, got)
			}
			if diff := cmp.Diff(before, pgtest.Value[[]string](t, pool, rows)); diff != "" {
				t.Errorf("rows of the topic that was left (-before +after):\n%s", diff)
			}
			if n := pgtest.Value[int](t, pool, `select pgsolo.replay('h')`); n != 1 {
				t.Errorf("%d letters are replayed", n)
			}
			jobstest.MustExec(t, pool, `select pgsolo.emit('u', '"again"', key => 'd')`)
			if got := pgtest.Within(t, "another retry", handled); got != "again" {
				t.Errorf("after the replay it has got %s", got)
			}
			l.quit()
			const view = `select concat_ws(' ', retrying, waiting, dead, left_behind) from pgsolo.handler`
			if got := pgtest.Value[string](t, pool, view); got != "0 0 0 4" {
				t.Errorf("the view says %s", got)
			}
			fails = false
			l = run(3, "main", "t")
			for _, payload := range []string{"dead", "retry", "waits", "dated"} {
				want[payload] = true
			}
			for len(want) > 0 {
				delete(want, pgtest.Within(t, fmt.Sprint("back at the topic ", want), handled))
			}
			l.quit()
		})
	}
}

// An event keeps its idempotency key where the log has begun again while the handler was at another topic than the
// event's, before it failed or after that.
func TestKeysOfALeftTopicInALogThatBeganAgain(t *testing.T) {
	r := setupRestart(t)
	keys := map[string]string{}
	at := func(topic string) func(h *Handler) {
		return func(h *Handler) {
			h.Topic = topic
			h.Handle = func(_ context.Context, e Event) error {
				payload, key := string(e.Payload), e.IdempotencyKey()
				if before := keys[payload]; before != "" {
					if key != before {
						t.Errorf("%s: the key was %s, and is %s", payload, before, key)
					}
					r.handled <- payload
					return nil
				}
				keys[payload] = key
				return errors.New("fails")
			}
		}
	}
	fails := func(topic, payload string) {
		t.Helper()
		l := r.lead(at(topic))
		jobstest.Emit(t, r.pool, topic, payload)
		pgtest.Eventually(t, "the dead letter", func() bool {
			return pgtest.Value[bool](t, r.pool,
				`select exists (select from pgsolo.dead_letter where payload = $1::text::jsonb)`, payload)
		})
		l.quit()
	}
	fails("t", `"1"`)
	fails("u", `"2"`)
	jobstest.MustExec(t, r.pool, truncate)
	fails("u", `"3"`)
	fails("t", `"4"`)
	jobstest.MustExec(t, r.pool, `select pgsolo.replay(everything => true)`)
	l := r.lead(at("t"))
	r.wants("at the one topic", "1", "4")
	l.quit()
	l = r.lead(at("u"))
	r.wants("at the other", "2", "3")
	l.quit()
}
