package eventlog

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// However many events need a row of their own, each write makes a bounded number of them: it has to end within its
// time.
func TestWritesAreBounded(t *testing.T) {
	t.Parallel()
	const n = 30_000
	for name, test := range map[string]struct {
		columns string
		handler Handler
		rows    int
	}{
		"not due": {`null, now() + interval '1 day'`, Handler{Name: "h", Topic: "t", Handle: ignore}, n},
		"behind one that fails": {`'k', null`,
			Handler{Name: "h", Topic: "t", Order: OrderKey, Handle: refuse, Retry: jobs.Retry{Backoff: time.Hour}}, n},
		"failed": {`null, null`,
			Handler{Name: "h", Topic: "t", Concurrency: 4, Handle: refuse, Retry: jobs.Retry{Backoff: time.Hour}}, n},
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			execute(t, pool, `insert into pgsolo.event (topic, key, deliver_at) select 't', `+test.columns+`
				from generate_series(1, $1::int)`, n)
			lead(t, pool, 1, test.handler)
			pgtest.Eventually(t, "a row for each", func() bool {
				return pgtest.Value[int](t, pool, `select count(*) from pgsolo.delivery`) == test.rows
			})
			most := pgtest.Value[int](t, pool,
				`select max(n) from (select count(*) as n from pgsolo.delivery group by xmin::text) s`)
			// What failed is at most a page short of full, two pages may wait and become results before the loop takes
			// them, and one is read.
			if most > 4*logread.MaxPage+test.handler.Concurrency {
				t.Errorf("one write made %d rows", most)
			}
		})
	}
}

func ignore(context.Context, Event) error { return nil }

func refuse(context.Context, Event) error { return errors.New("no") }

// A handler that gets another topic begins there as a new one does.
func TestHandlerWithAnotherTopic(t *testing.T) {
	pool := jobstest.Pool(t)
	execute(t, pool, `insert into pgsolo.event (topic) values ('a'), ('b'), ('b')`)
	handled := make(chan string, 10)
	handler := func(topic string) Handler {
		return Handler{Name: "h", Topic: topic, Handle: func(_ context.Context, e Event) error {
			handled <- e.Topic
			return nil
		}}
	}
	first := lead(t, pool, 1, handler("a"))
	pgtest.Within(t, "the event of a", handled)
	pgtest.Eventually(t, "all to be done", func() bool {
		return pgtest.Value[bool](t, pool,
			`select coalesce((select done @> int8range(1, 4) from pgsolo.cursor), false)`)
	})
	first.quit()
	lead(t, pool, 2, handler("b"))
	for range 2 {
		if topic := pgtest.Within(t, "an event of b", handled); topic != "b" {
			t.Errorf("handled an event of %q", topic)
		}
	}
}

// After commits are lost, ids come twice: the leader ends, and the next one reads the cursors.
func TestLogThatHasGoneBack(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.EmitMany(t, pool, 5)
	l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Handle: ignore})
	pgtest.Eventually(t, "all to be done, and a poll of the end of the log", func() bool {
		return pgtest.Value[int](t, pool, `select count(*) from pgsolo.cursor where done @> int8range(1, 6)`) == 1 &&
			l.runner.poll.Given() == 5
	})
	execute(t, pool, `select setval('pgsolo.event_id_seq', 2)`)
	if err := pgtest.Within(t, "the end of the leader", l.ended); err == nil ||
		!strings.Contains(err.Error(), "has gone back") {
		t.Errorf("the leader ended with %v", err)
	}
}

func execute(t *testing.T, pool *pgxpool.Pool, sql string, args ...any) {
	t.Helper()
	if _, err := pool.Exec(t.Context(), sql, args...); err != nil {
		t.Fatal(err)
	}
}
