package eventlog

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// An older configuration leads for a moment during a deploy: a handler that it lacks loses nothing to its retention,
// nor a topic its events to its shorter one, and a topic that it lacks is accepted, as are its large events.
func TestOlderConfigurationLeadsForAMoment(t *testing.T) {
	pool := jobstest.Pool(t)
	a, _ := recorder("a", "orders")
	fresh, _ := recorder("fresh", "fresh")
	kept, _ := recorder("kept", "kept")
	mark, _ := recorder("mark", "mark")
	release := make(chan struct{})
	done := make(chan int64, 100)
	b := Handler{Name: "b", Topic: "orders", Handle: func(ctx context.Context, e Event) error {
		if e.ID > 2 {
			select {
			case <-release:
			case <-ctx.Done():
				return ctx.Err()
			}
		}
		done <- e.ID
		return nil
	}}
	newer := Options{Pool: pool, Handlers: []Handler{a, b, fresh, kept},
		Topics: []Topic{{Name: "orders", Retention: time.Millisecond},
			{Name: "kept", Retention: time.Hour, MaxPayload: 32 << 20}}}
	older := Options{Pool: pool, Handlers: []Handler{a, kept, mark},
		Topics: []Topic{{Name: "orders", Retention: time.Millisecond}, {Name: "kept", Retention: time.Millisecond},
			{Name: "mark", Retention: time.Millisecond}}}
	known := func(topic string) {
		t.Helper()
		pgtest.Eventually(t, "the topic "+topic, func() bool {
			return pgtest.Value[bool](t, pool, `select exists (select from pgsolo.topic where topic = $1)`, topic)
		})
	}

	l := leadWith(t, 1, newer)
	known("fresh")
	for range 20 {
		jobstest.Emit(t, pool, "orders", `1`)
	}
	jobstest.Emit(t, pool, "kept", `1`)
	for range 2 {
		pgtest.Within(t, "the first events", done)
	}
	pgtest.Eventually(t, "their progress", func() bool {
		return pgtest.Value[bool](t, pool, `select done @> '[1,3)'::int8range from pgsolo.cursor where handler = 'b'`)
	})
	l.die()

	l = leadWith(t, 2, older)
	known("mark")
	for range 2 { // the first may be of a pass that began before
		jobstest.Emit(t, pool, "mark", `1`)
		pgtest.Eventually(t, "a pass of its retention", func() bool {
			return pgtest.Value[bool](t, pool, `select not exists (select from pgsolo.event where topic = 'mark')`)
		})
	}
	jobstest.Emit(t, pool, "fresh", `1`)
	if most := pgtest.Value[int64](t, pool, `select pgsolo.max_payload('kept')`); most != 32<<20 {
		t.Errorf("the topic that the newer configuration gives more takes events of %d bytes", most)
	}
	l.quit()

	l = leadWith(t, 3, older) // whose only report in this test follows the topics that the one before made known
	held := func() map[string]int64 {
		rows := map[string]int64{}
		for _, h := range l.runner.Stats().HeldBack {
			remedy := "select pgsolo.forget_" + h.Kind + "('" + h.Name + "')"
			if h.Kind == "handler" && h.Bytes < 100*h.Rows || h.Remedy != remedy {
				t.Errorf("held back: %+v", h)
			}
			rows[h.Kind+" "+h.Name] = h.Rows
		}
		return rows
	}
	want := map[string]int64{"handler b": 18, "handler fresh": 1, "topic fresh": 0}
	pgtest.Eventually(t, "what is held back", func() bool { return len(held()) > 0 })
	if diff := cmp.Diff(want, held()); diff != "" {
		t.Errorf("held back: -want +got\n%s", diff)
	}
	l.quit()

	close(release)
	l = leadWith(t, 4, newer)
	seen := map[int64]bool{}
	for range 18 {
		seen[pgtest.Within(t, "the events that it had not finished", done)] = true
	}
	if len(seen) != 18 || seen[1] || seen[2] {
		t.Errorf("b got %v after the older configuration", seen)
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.event where topic = 'kept'`); n != 1 {
		t.Errorf("%d events of the topic that this configuration keeps, want 1", n)
	}
	l.quit()
}

// Once the grace is over, nothing is held back any more, and the topic is refused.
func TestGraceEndsWhileALeaderLeads(t *testing.T) {
	pool := jobstest.Pool(t)
	a, _ := recorder("a", "orders")
	b, _ := recorder("b", "fresh")
	topics := []Topic{{Name: "fresh", Retention: time.Millisecond}, {Name: "orders", Retention: time.Millisecond}}
	l := leadWith(t, 1, Options{Pool: pool, Handlers: []Handler{a, b}, Topics: topics})
	pgtest.Eventually(t, "the topics", func() bool {
		return pgtest.Value[bool](t, pool, `select pgsolo.known_topics() is not null`)
	})
	l.quit()
	jobstest.Emit(t, pool, "fresh", `1`)
	leadWith(t, 2, Options{Pool: pool, Handlers: []Handler{a}, Topics: topics[1:], ForgetAfter: 500 * time.Millisecond})
	pgtest.Eventually(t, "the end of the grace", func() bool {
		return pgtest.Value[bool](t, pool, `select pgsolo.known_topics() = '{orders}'
			and not (select configured from pgsolo.cursor where handler = 'b')`)
	})
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.held_back`); n != 0 {
		t.Errorf("%d names are held back after the grace", n)
	}
	l = leadWith(t, 3, Options{Pool: pool, Handlers: []Handler{a}, Topics: topics, ForgetAfter: jobs.ForgetAtOnce})
	pgtest.Eventually(t, "the event to be deleted", func() bool {
		return pgtest.Value[bool](t, pool, `select not exists (select from pgsolo.event)`)
	})
	l.quit()
}
