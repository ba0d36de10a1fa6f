package logread

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Old transactions keep nothing open but those that have emitted, whose owner is told once they have for long.
func TestEmitters(t *testing.T) {
	pool := jobstest.Pool(t)
	var logged strings.Builder
	e := Emitters{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema},
		Logger: hclog.New(&hclog.LoggerOptions{Output: &logged, DisableTime: true})}
	old, emitter := jobstest.Begin(t, pool), jobstest.Begin(t, pool)
	pgtest.Value[int64](t, old, `select pg_current_xact_id()::text::bigint`)
	var (
		first  = pgtest.Value[int64](t, emitter, `select pg_current_xact_id()::text::bigint`)
		pid    = pgtest.Value[int32](t, emitter, `select pg_backend_pid()`)
		number = func() int64 { return pgtest.Value[int64](t, pool, `select pg_current_xact_id()::text::bigint`) }
		look   = func(horizon int64) int64 {
			t.Helper()
			e.lookBy = time.Time{}
			e.Open(t.Context(), manyOpen, horizon, horizon)
			e.lookBy = time.Time{}
			e.Open(t.Context(), manyOpen, horizon, horizon)
			return e.Floor()
		}
	)
	if floor, horizon := look(number()), number(); floor <= first || floor > horizon {
		t.Errorf("the floor is %d before anyone emits, want it above %d and not above %d", floor, first, horizon)
	}
	pgtest.Value[string](t, emitter, `select set_config('application_name', 'importer', true)`)
	jobstest.Emit(t, emitter, "t", `1`)
	e.Begin()
	if floor := look(number()); floor != first {
		t.Errorf("the floor is %d, want that of the emitter, %d", floor, first)
	}
	if who, _ := e.Blocking(); e.Oldest() == nil || e.Oldest().PID != pid || who != "" || logged.Len() > 0 {
		t.Errorf("at once: %+v, %q, %s", e.Oldest(), who, logged.String())
	}
	e.oldest.Load().Since = time.Now().Add(-holdsForLong)
	look(number())
	look(number())
	if who, _ := e.Blocking(); !strings.Contains(who, "importer") || strings.Count(logged.String(), "\n") != 1 ||
		!strings.Contains(logged.String(), "application=importer") {
		t.Errorf("later: %q, %s", who, logged.String())
	}
	jobstest.Commit(t, emitter)
	if horizon := number(); look(horizon) <= horizon || e.Oldest() != nil {
		t.Errorf("in the end: the floor is %d for a horizon of %d, %+v", e.Floor(), horizon, e.Oldest())
	}
}
