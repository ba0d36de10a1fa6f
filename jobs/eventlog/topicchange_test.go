package eventlog

import (
	"context"
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// claimBefore is the claim of the version before, which overwrites what a handler of another topic was done with.
const claimBefore = `insert into pgsolo.cursor as c (handler, term, "group", topic, done)
		values ($1, $2, $3, $4, case when $5 and pg_sequence_last_value('pgsolo.event_id_seq') is not null
			then int8multirange(int8range(1, pg_sequence_last_value('pgsolo.event_id_seq') + 1)) else '{}' end)
		on conflict (handler) do update set term = excluded.term, "group" = excluded."group", topic = excluded.topic,
			done = case when c.topic in ('', excluded.topic) then c.done else excluded.done end,
			configured = true, seen_at = now()
		where c.term <= excluded.term
		returning done`

func claimAsBefore(t *testing.T, pool *pgxpool.Pool, term int64, topic string, latest bool) (done string) {
	t.Helper()
	var rows int
	err := pool.QueryRow(t.Context(), `with claimed as (`+claimBefore+`) select count(*), max(done::text) from claimed`,
		"h", term, "main", topic, latest).Scan(&rows, &done)
	if err != nil || rows != 1 {
		t.Fatalf("the claim of the version before: %d rows, %v", rows, err)
	}
	return done
}

// A handler that goes back to a topic goes on where it was in that topic, also where it promises exactly once. What the
// version before claims in between loses no position either, and gets back what it left.
func TestHandlerGoesBackToATopic(t *testing.T) {
	for name, between := range map[string]func(t *testing.T, pool *pgxpool.Pool, term int64){
		"this version": func(t *testing.T, pool *pgxpool.Pool, term int64) {
			handler, events := recorder("h", "other")
			l := lead(t, pool, term, handler)
			jobstest.Emit(t, pool, "other", `1`)
			pgtest.Within(t, "an event of the other topic", events)
			l.quit()
		},
		"the version before": func(t *testing.T, pool *pgxpool.Pool, term int64) {
			if done := claimAsBefore(t, pool, term, "other", false); done != "{}" {
				t.Errorf("it begins with %s in a topic that it never had", done)
			}
		},
		"the version before, from the latest on": func(t *testing.T, pool *pgxpool.Pool, term int64) {
			claimAsBefore(t, pool, term, "other", true)
		},
		"several topics": func(t *testing.T, pool *pgxpool.Pool, term int64) {
			for i, topic := range []string{"other", "third", "other"} {
				claimAsBefore(t, pool, term+int64(i), topic, i == 2)
			}
		},
		"and back by the version before": func(t *testing.T, pool *pgxpool.Pool, term int64) {
			claimAsBefore(t, pool, term, "other", false)
			if done := claimAsBefore(t, pool, term+1, "t", false); done != "{[1,6)}" {
				t.Errorf("it goes back to %s, want {[1,6)}", done)
			}
			claimAsBefore(t, pool, term+2, "other", true)
		},
		"one that a newer leader refuses": func(t *testing.T, pool *pgxpool.Pool, term int64) {
			_, err := pool.Exec(t.Context(), claimBefore, "h", 0, "main", "other", false)
			if err != nil {
				t.Fatal(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			pool := setupEffects(t)
			exactlyOnce := Handler{Name: "h", Topic: "t", HandleTx: leaveEffect}
			l := lead(t, pool, 1, exactlyOnce)
			emitNumbers(t, pool, 5)
			settled(t, pool, 5)
			l.quit()
			between(t, pool, 2)
			jobstest.Emit(t, pool, "t", `1`) // nobody has seen it, whatever 'latest' was told of the other topic
			l = lead(t, pool, 9, exactlyOnce)
			defer l.quit()
			const effects = `select array_agg(event_id order by event_id) from effect`
			pgtest.Eventually(t, "the event of meanwhile", func() bool {
				return len(pgtest.Value[[]int64](t, pool, effects)) >= 6
			})
			last := jobstest.Emit(t, pool, "t", `1`)
			pgtest.Eventually(t, "a later one", func() bool {
				all := pgtest.Value[[]int64](t, pool, effects)
				return all[len(all)-1] == last
			})
			all := pgtest.Value[[]int64](t, pool, effects)
			if len(all) != 7 || !slices.Equal(all[:5], []int64{1, 2, 3, 4, 5}) {
				t.Errorf("effects of events %v", all)
			}
		})
	}
}

// The position that is kept is what was committed by a write that the claim has to wait for.
func TestPositionKeptAfterAWriteUnderWay(t *testing.T) {
	pool := jobstest.Pool(t)
	claimAsBefore(t, pool, 1, "t", false)
	writing := jobstest.Begin(t, pool)
	jobstest.MustExec(t, writing, `update pgsolo.cursor set done = '{[1,8)}' where handler = 'h' and term = 1`)
	claimed := make(chan error, 1)
	go func() {
		_, err := pool.Exec(context.Background(), claimBefore, "h", 2, "main", "other", false)
		claimed <- err
	}()
	pgtest.Eventually(t, "the claim to wait", func() bool {
		return pgtest.Value[bool](t, pool, `select exists (select from pg_stat_activity
			where datname = current_database() and wait_event_type = 'Lock')`)
	})
	jobstest.Commit(t, writing)
	if err := pgtest.Within(t, "the claim", claimed); err != nil {
		t.Fatal(err)
	}
	if done := claimAsBefore(t, pool, 3, "t", false); done != "{[1,8)}" {
		t.Errorf("it goes back to %s, want {[1,8)}", done)
	}
}
