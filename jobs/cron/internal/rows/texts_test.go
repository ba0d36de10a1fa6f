package rows

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// What a run leaves, and who leads, is kept as far as the database can hold it.
func TestTextsFitTheDatabase(t *testing.T) {
	pool, ctx := jobstest.PoolIn(t, "LATIN1"), t.Context()
	store, known, tick := setup(t, pool)
	if _, err := store.Claim(ctx, 1, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	if mine, _, err := store.Begin(ctx, 1, "日é", []*Run{tick}, nil); err != nil || len(mine) != 1 {
		t.Fatalf("begin: %v, %v", mine, err)
	}
	tick.Result = Result{Outcome: Failed, Failure: "→ no é", Output: "日本 é\n"}
	if _, err := store.Settle(ctx, 1, []*Run{tick}); err != nil {
		t.Fatal(err)
	}
	const want = "?é|? no é|?? é\n"
	got := pgtest.Value[string](t, pool, `select concat_ws('|', holder, error, output) from pgsolo.cron_run`)
	if got != want {
		t.Errorf("kept %q, want %q", got, want)
	}
}
