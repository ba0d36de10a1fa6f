package cursor

import (
	"context"
	"slices"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// However much waits, a claim looks at a few rows of the log: a takeover waits for it.
func TestClaimReadsNoMoreThanItNeeds(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `alter table pgsolo.event set (autovacuum_enabled = false)`) // which analyzes, too
	jobstest.EmitMany(t, pool, 20_000)
	for _, state := range []string{
		"select", "analyze pgsolo.event", "update pgsolo.log set checked_id = 10000",
		"update pgsolo.log set checked_id = 100000", // the newest of the log are gone
	} {
		jobstest.MustExec(t, pool, state)
		for _, done := range []string{"{}", "{[1,10001)}", "{[1,100001)}"} {
			jobstest.MustExec(t, pool, `insert into pgsolo.cursor (handler, "group", topic, term, done)
				values ('h', 'main', 't', 1, $1) on conflict (handler) do update set done = $1`, done)
			rows, plan := jobstest.RowsRead(t, pool, "event", claimCursor,
				"h", int64(1), "main", "t", false, "", int64(0), true)
			if rows > 1000 {
				t.Errorf("after %q, with %s done, a claim looks at %d events:\n%s", state, done, rows, plan)
			}
		}
	}
}

// A cursor that is made by the claim which finds that the log is another one, as a copy is, has nothing to be compared:
// what it does not want is not wanted, also where its transaction still runs.
func TestNewCursorOfACopiedLog(t *testing.T) {
	pool := jobstest.Pool(t) // a copy of the one that was migrated
	jobstest.Emit(t, pool, "t", `1`)
	open := jobstest.Begin(t, pool)
	jobstest.Emit(t, open, "t", `2`)
	c := Cursor{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Handler: "h", Topic: "t", Term: 1}
	persist := func(ctx context.Context, _ string, do func(context.Context) error) error { return do(ctx) }
	claimed, owned, err := c.Take(t.Context(), persist, hclog.NewNullLogger(), "main", true)
	if err != nil || owned != nil {
		t.Fatal(owned, err)
	}
	if want := (idset.Set{{Lo: 1, Hi: 3}}); !slices.Equal(claimed.Done, want) || claimed.Epoch == 0 {
		t.Errorf("done %v, epoch %d, want %v of a later one", claimed.Done, claimed.Epoch, want)
	}
	jobstest.Commit(t, open)
}
