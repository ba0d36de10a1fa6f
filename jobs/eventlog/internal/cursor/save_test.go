package cursor

import (
	"testing"

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
	c := Cursor{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Handler: "h", Term: 1}
	if _, err := c.Claim(t.Context(), "main", "t", false); err != nil {
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
	second := Progress{Failed: []Failure{{ID: 1, Attempt: 2, Message: "x"}}}
	save(second)
	save(Progress{Failed: []Failure{{ID: 1, Attempt: 3, Message: "x", Dead: true}}})
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
