package eventlog

import (
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/jobstest"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// A try of a write may be carried out after its repetition, and after what followed that: then it changes nothing.
func TestLateTryOfAWrite(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.EmitMany(t, pool, 3)
	c := newConsumer(Handler{Name: "h", Topic: "t"}, logread.NewLog(logread.NewReader(pool, jobs.DefaultSchema, "t"), new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(jobs.Lead{Number: 1})
	if _, err := c.claim(t.Context()); err != nil {
		t.Fatal(err)
	}
	save := func(p progress) {
		t.Helper()
		if _, err := c.save(t.Context(), &p); err != nil {
			t.Fatal(err)
		}
	}
	deliveries := func() string {
		return pgtest.Value[string](t, pool, `select coalesce(string_agg(event_id || ' ' || state || ' ' || attempt, ', ' order by event_id), '') from pgsolo.delivery`)
	}
	first := progress{done: idset.Set{{Lo: 1, Hi: 3}}, failed: []failure{{id: 1, attempt: 1, message: "x"}}, moved: []moved{{id: 2, key: "k"}}}
	save(first)
	save(first)
	if got := deliveries(); got != "1 retry 1, 2 waiting 0" {
		t.Errorf("after the write and its repetition: %q", got)
	}
	second := progress{failed: []failure{{id: 1, attempt: 2, message: "x"}}}
	save(second)
	save(progress{failed: []failure{{id: 1, attempt: 3, message: "x", dead: true}}})
	save(second)
	save(first)
	if got := deliveries(); got != "1 dead 3, 2 waiting 0" {
		t.Errorf("after late tries of failures: %q", got)
	}
	save(progress{succeeded: []int64{1, 2}})
	save(second)
	save(first)
	if got := deliveries(); got != "" {
		t.Errorf("after late tries of what has succeeded since: %q", got)
	}
}
