package jobs

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A try that was given up, and that the server carries out late, finds a later attempt and leaves it alone.
func TestCronStoreLateTries(t *testing.T) {
	pool, ctx := setup(t), t.Context()
	store, jobs, tick := storeTest(t, pool)
	if _, err := store.claim(ctx, 5, jobs, tick.at); err != nil {
		t.Fatal(err)
	}
	first, retry := tick.later(0, outcomeRunning), tick.later(0, outcomeRetrying)
	again := tick.later(0, outcomeRunning)
	again.attempt = 2
	begin := func(inserts, starts []*cronRun) int {
		t.Helper()
		mine, _, err := store.begin(ctx, 5, "here", inserts, starts)
		if err != nil {
			t.Fatal(err)
		}
		return len(mine)
	}
	settle := func(r *cronRun) {
		t.Helper()
		if _, err := store.settle(ctx, 5, []*cronRun{r}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, outcome string, attempt int) {
		t.Helper()
		got, n := pgtest.Value[string](t, pool, `select outcome from pgsolo.cron_run`), pgtest.Value[int](t, pool, `select attempt from pgsolo.cron_run`)
		if got != outcome || n != attempt {
			t.Errorf("%s: %s in attempt %d, want %s in %d", what, got, n, outcome, attempt)
		}
	}
	begin([]*cronRun{first}, nil)
	settle(retry)
	if begin(nil, []*cronRun{first}) != 0 {
		t.Error("the first attempt is started again")
	}
	want("a late start", outcomeRetrying, 1)
	if begin(nil, []*cronRun{again}) != 1 {
		t.Error("the second attempt is not started")
	}
	settle(retry)
	want("a late end", outcomeRunning, 2)
}
