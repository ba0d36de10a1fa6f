package cursor

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
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
