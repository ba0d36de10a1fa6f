package cursor

import (
	"errors"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// A try of a write may be carried out after its repetition, and after what followed that: then it changes nothing.
func TestLateTryOfAWrite(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.EmitMany(t, pool, 3)
	c := Cursor{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Handler: "h", Topic: "t", Term: 1}
	if _, err := c.Claim(t.Context(), "main", false); err != nil {
		t.Fatal(err)
	}
	save := func(p Progress) {
		t.Helper()
		if _, err := c.Save(t.Context(), &p); err != nil {
			t.Fatal(err)
		}
	}
	deliveries := func() string {
		return pgtest.Value[string](t, pool, `select coalesce(
			string_agg(event_id || ' ' || state || ' ' || attempt, ', ' order by event_id), '') from pgsolo.delivery`)
	}
	first := Progress{
		Done:   idset.Set{{Lo: 1, Hi: 3}},
		Failed: []Failure{{ID: 1, Attempt: 1, Message: "x"}},
		Moved:  []Moved{{Record: &logread.Record{ID: 2}, Key: "k"}},
	}
	save(first)
	save(first)
	if got := deliveries(); got != "1 retry 1, 2 waiting 0" {
		t.Errorf("after the write and its repetition: %q", got)
	}
	second := Progress{Failed: []Failure{{ID: 1, Retry: true, Attempt: 2, Message: "x"}}}
	save(second)
	save(Progress{Failed: []Failure{{ID: 1, Retry: true, Attempt: 3, Message: "x", Dead: true}}})
	save(second)
	save(first)
	if got := deliveries(); got != "1 dead 3, 2 waiting 0" {
		t.Errorf("after late tries of failures: %q", got)
	}
	save(Progress{Succeeded: []int64{1, 2}})
	save(second)
	save(first)
	if got := deliveries(); got != "" {
		t.Errorf("after late tries of what has succeeded since: %q", got)
	}
}

// What an operator has done since a write was carried out stays, whether the write is repeated at once, since its
// answer was lost, or comes late. A write of another writer, or of a later number, is a new one.
func TestRepeatedWriteUndoesNothing(t *testing.T) {
	for name, operator := range map[string]string{
		"replay":         `select pgsolo.replay(everything => true)`,
		"discard":        `select pgsolo.discard(everything => true)`,
		"delete":         `delete from pgsolo.delivery`,
		"back by hand":   `update pgsolo.delivery set state = 'retry', attempt = 0, next_at = now() + interval '1 day'`,
		"sooner by hand": `update pgsolo.delivery set next_at = now() where next_at is not null`,
		"dead by hand":   `update pgsolo.delivery set state = 'dead', next_at = null, error = 'enough'`,
		"waiting as due": `update pgsolo.delivery set state = 'retry', next_at = now() where state = 'waiting'`,
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			jobstest.EmitMany(t, pool, 6)
			c := Cursor{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Handler: "h", Topic: "t", Term: 1}
			if _, err := c.Claim(t.Context(), "main", false); err != nil {
				t.Fatal(err)
			}
			save := func(p *Progress) {
				t.Helper()
				if _, err := c.Save(t.Context(), p); err != nil {
					t.Fatal(err)
				}
			}
			deliveries := func() string {
				return pgtest.Value[string](t, pool, `select coalesce(string_agg(
					concat_ws(' ', event_id, state, attempt, next_at, error), ', ' order by event_id), '')
						|| (select done::text from pgsolo.cursor)
					from pgsolo.delivery`)
			}
			record := func(id int64) *logread.Record { return &logread.Record{ID: id, Topic: "t"} }
			jobstest.MustExec(t, pool, `delete from pgsolo.event where id in (2, 6)`)
			w := NewWriter("")
			w.Failed(Failure{ID: 3, Record: record(3), Attempt: 1, Message: "x"})
			w.Failed(Failure{ID: 5, Record: record(5), Attempt: 1, Message: "x"})
			first := w.Begin(time.Now())
			save(first)
			w.End(nil)
			w.Failed(Failure{ID: 1, Record: record(1), Attempt: 1, Dead: true, Message: "x"})
			w.Failed(Failure{ID: 2, Record: record(2), Attempt: 1, Dead: true, Message: "x"})
			w.Failed(Failure{ID: 3, Record: record(3), Retry: true, Attempt: 2, Dead: true, Message: "x"})
			w.Move(Moved{Record: record(4), Key: "k"})
			w.Move(Moved{Record: record(6), Key: "k"})
			w.Early(5)
			second := w.Begin(time.Now())
			save(second)
			if w.End(errors.New("the answer is lost")); w.Begin(time.Now()) != second {
				t.Error("want the same write again")
			}
			jobstest.MustExec(t, pool, operator)
			want := deliveries()
			save(second)
			save(first)
			if got := deliveries(); got != want {
				t.Errorf("the write has undone what the operator did:\n%s\nwant\n%s", got, want)
			}
			w.End(nil)
			w.Succeeded(1, true)
			save(w.Begin(time.Now()))
			other := NewWriter("")
			other.Succeeded(4, true)
			save(other.Begin(time.Now()))
			n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery where event_id in (1, 4)`)
			if n != 0 {
				t.Errorf("%d deliveries that succeeded are left", n)
			}
			c.Term = 0
			if _, err := c.Save(t.Context(), second); !errors.Is(err, jobs.ErrFenced) {
				t.Errorf("got %v, want %v", err, jobs.ErrFenced)
			}
		})
	}
}

// A write was carried out but for the rows of events that were gone: its repetition makes them.
func TestRepeatedWriteKeepsWhatIsGone(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.EmitMany(t, pool, 3)
	c := Cursor{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Handler: "h", Topic: "t", Term: 1}
	if _, err := c.Claim(t.Context(), "main", false); err != nil {
		t.Fatal(err)
	}
	jobstest.MustExec(t, pool, `delete from pgsolo.event where id < 3`)
	w := NewWriter("")
	w.Failed(Failure{ID: 1, Record: &logread.Record{ID: 1, Topic: "t"}, Attempt: 1, Dead: true, Message: "x"})
	w.Move(Moved{Record: &logread.Record{ID: 2, Topic: "t"}, Key: "k"})
	w.Move(Moved{Record: &logread.Record{ID: 3, Topic: "t"}, Key: "k"})
	p := w.Begin(time.Now())
	if _, gone, err := c.save(t.Context(), p); err != nil || len(gone) != 2 {
		t.Fatalf("gone: %v, %v", gone, err)
	}
	if _, err := c.Save(t.Context(), p); err != nil {
		t.Fatal(err)
	}
	got := pgtest.Value[string](t, pool, `select string_agg(event_id || ' ' || state, ', ' order by event_id)
		|| ' ' || (select done::text from pgsolo.cursor) from pgsolo.delivery`)
	if want := "1 dead, 2 waiting, 3 waiting {[1,4)}"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}
