package rows

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
)

// Ten thousand names are not read with each poll, but only where another group may have taken one.
func TestNamesAreReadWhereTheirNumberDiffers(t *testing.T) {
	pool, ctx := jobstest.Pool(t), t.Context()
	store, known, tick := setup(t, pool)
	if before, err := store.Commands(ctx, 1); err != nil || before.Term != 0 || len(before.Jobs) != 0 {
		t.Errorf("before any leader: %+v, %v", before, err)
	}
	if _, err := store.Claim(ctx, 5, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	for own, want := range map[int][]string{0: {"job"}, 1: nil, 2: {"job"}} {
		got, err := store.Commands(ctx, own)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, got.Jobs); got.Term != 5 || diff != "" {
			t.Errorf("a leader with %d jobs: term %d, -want +got:\n%s", own, got.Term, diff)
		}
	}
	if _, err := storeOf(pool, "other").Claim(ctx, 1, known, tick.At, takeAll); err != nil {
		t.Fatal(err)
	}
	if got, err := store.Commands(ctx, 1); err != nil || got.Jobs == nil || len(got.Jobs) != 0 {
		t.Errorf("after another group took the job: %+v, %v", got, err)
	}
}
