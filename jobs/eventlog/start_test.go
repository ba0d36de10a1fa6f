package eventlog

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestStart(t *testing.T) {
	t.Parallel()
	for _, start := range []Start{"", StartEarliest, StartLatest} {
		t.Run(string(start), func(t *testing.T) {
			pool := jobstest.Pool(t)
			old := jobstest.Emit(t, pool, "t", `"old"`)
			undone := jobstest.Begin(t, pool)
			jobstest.Emit(t, undone, "t", `"undone"`)
			if err := undone.Rollback(t.Context()); err != nil {
				t.Fatal(err)
			}
			under := jobstest.Begin(t, pool)
			jobstest.Emit(t, under, "t", `"under way"`)
			handler, events := recorder("h", "t")
			handler.Start = start
			first := lead(t, pool, 1, handler)
			pgtest.Eventually(t, "the cursor", func() bool {
				return pgtest.Value[bool](t, pool, `select exists (select from pgsolo.cursor)`)
			})
			jobstest.Commit(t, under)
			next := jobstest.Emit(t, pool, "t", `"next"`)
			var got []int64
			for id := int64(0); id != next; got = append(got, id) {
				id = pgtest.Within(t, "the next event", events).ID
			}
			if start == StartLatest && len(got) != 1 || start != StartLatest && got[0] != old {
				t.Errorf("got events %v of %d to %d", got, old, next)
			}
			first.quit()

			// Where there is a cursor it is what counts.
			waiting := jobstest.Emit(t, pool, "t", `"waiting"`)
			handler.Start = StartLatest
			second := lead(t, pool, 2, handler)
			for id := int64(0); id != waiting; {
				id = pgtest.Within(t, "what came while there was no leader", events).ID
			}
			pgtest.Eventually(t, "every id to be settled", func() bool {
				return pgtest.Value[bool](t, pool, `select done = int8multirange(int8range(1, $1)) from pgsolo.cursor`,
					waiting+1)
			})
			second.quit()
		})
	}
}

func TestStartLatestInAnEmptyLog(t *testing.T) {
	pool := jobstest.Pool(t)
	handler, events := recorder("h", "t")
	handler.Start = StartLatest
	l := lead(t, pool, 1, handler)
	pgtest.Eventually(t, "the cursor", func() bool {
		return pgtest.Value[bool](t, pool, `select exists (select from pgsolo.cursor)`)
	})
	id := jobstest.Emit(t, pool, "t", `"first"`)
	if got := pgtest.Within(t, "the first event", events); got.ID != id {
		t.Errorf("got event %d, want %d", got.ID, id)
	}
	l.quit()
}
