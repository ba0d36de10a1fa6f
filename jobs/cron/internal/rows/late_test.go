package rows

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A try that was given up, and that the server carries out late, finds a later attempt and does not change it.
func TestLateTries(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	store, known, tick := setup(t, pool)
	if _, err := store.Claim(ctx, 5, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	first, retry := tick.later(0, Running), tick.later(0, Retrying)
	again := tick.later(0, Running)
	again.Attempt = 2
	begin := func(inserts, starts []*Run) int {
		t.Helper()
		mine, _, err := store.Begin(ctx, 5, "here", inserts, starts)
		if err != nil {
			t.Fatal(err)
		}
		return len(mine)
	}
	settle := func(r *Run) {
		t.Helper()
		if _, err := store.Settle(ctx, 5, []*Run{r}); err != nil {
			t.Fatal(err)
		}
	}
	want := func(what, outcome string, attempt int) {
		t.Helper()
		got := pgtest.Value[string](t, pool, `select outcome from pgsolo.cron_run`)
		n := pgtest.Value[int](t, pool, `select attempt from pgsolo.cron_run`)
		if got != outcome || n != attempt {
			t.Errorf("%s: %s in attempt %d, want %s in %d", what, got, n, outcome, attempt)
		}
	}
	begin([]*Run{first}, nil)
	settle(retry)
	if begin(nil, []*Run{first}) != 0 {
		t.Error("the first attempt is started again")
	}
	want("a late start", Retrying, 1)
	if begin(nil, []*Run{again}) != 1 {
		t.Error("the second attempt is not started")
	}
	settle(retry)
	want("a late end", Running, 2)
}
