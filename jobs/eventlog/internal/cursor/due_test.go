package cursor

import (
	"context"
	"errors"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/keys"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// removed are the rows that a plan reads, and does not use.
var removed = regexp.MustCompile(`Rows Removed by Filter: (\d+)`)

// However many deliveries wait, a due query reads by index what is due and the beginning of the keys that it is asked
// for.
func TestDueQueryReadsNoMoreThanItNeeds(t *testing.T) {
	pool := jobstest.Pool(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	jobstest.MustExec(t, pool, `alter table pgsolo.delivery set (autovacuum_enabled = false)`) // which analyzes, too
	const insert = `insert into pgsolo.delivery
			(handler, event_id, topic, key, payload, headers, created_at, attempt, state, next_at, error)
		select 'h', n, 't', `
	for name, rows := range map[string]string{
		"one key": insert + `'k', '{}', '{}', now(), 0, case when n = 1 then 'dead' else 'waiting' end, null, ''
			from generate_series(1, 100000) n`,
		"keys": insert + `'k' || n / 2, '{}', '{}', now(), 0, case when n % 2 = 0 then 'retry' else 'waiting' end,
			now() + interval '1 hour', '' from generate_series(1, 100000) n`,
		"due": insert + `'k' || n, '{}', '{}', now(), 0, 'scheduled', now() - n * interval '1 ms', ''
			from generate_series(1, 100000) n`,
		"due behind the bar": insert +
			`'k', '{}', '{}', now(), 0, case when n = 1 then 'dead' else 'retry' end, now(), ''
			from generate_series(1, 100000) n`,
		"left topic": strings.Replace(insert, "'t'", "case when n % 1000 = 0 then 't' else 'left' end", 1) +
			`'k' || n / 2000, '{}', '{}', now(), 0, case when n % 2 = 0 then 'retry' else 'waiting' end,
			case when n % 2 = 0 then now() - n * interval '1 ms' end, '' from generate_series(1, 100000) n`,
		"dead": insert + `'k' || n, '{}', '{}', now(), 0, 'dead', null, '' from generate_series(1, 100000) n`,
	} {
		for _, analyze := range []string{"", "analyze pgsolo.delivery"} {
			t.Run(name+" "+analyze, func(t *testing.T) {
				for _, statement := range []string{"truncate pgsolo.delivery", rows, analyze} {
					if _, err := conn.Exec(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
				for what, sql := range map[string]string{"none": selectDue, "key": selectOrderedDue} {
					args := []any{"h", []int64{}, duePage, "t", "marker"}
					if sql == selectOrderedDue {
						args = append(args[:3], true, []string{"k", "k1"}, keys.MaxCandidates, "", []string{}, "t",
							"marker")
					}
					plan, err := conn.Query(t.Context(), "explain analyze "+sql, args...)
					if err != nil {
						t.Fatal(err)
					}
					lines, err := pgx.CollectRows(plan, pgx.RowTo[string])
					if err != nil {
						t.Fatal(err)
					}
					text := strings.Join(lines, "\n")
					if strings.Contains(text, "Seq Scan on delivery") {
						t.Errorf("%s reads the whole table:\n%s", what, text)
					}
					for _, rows := range removed.FindAllStringSubmatch(text, -1) {
						if n, _ := strconv.Atoi(rows[1]); n > 1000 {
							t.Errorf("%s passes %d rows that it does not need:\n%s", what, n, text)
						}
					}
					t.Logf("%s: %s", what, lines[len(lines)-1])
				}
			})
		}
	}
}

// A query that takes too long is tried again for fewer deliveries.
func TestSlowDueQueriesBecomeSmaller(t *testing.T) {
	c := Cursor{DB: pg.DB{Pool: jobstest.Pool(t), Schema: jobs.DefaultSchema}, Handler: "h", Topic: "t", Term: 1}
	jobstest.MustExec(t, c.DB.Pool, `insert into pgsolo.delivery
			(handler, event_id, topic, payload, headers, created_at, attempt, state, next_at, error)
		select 'h', n, 't', '1', '{}', now(), 1, 'retry', now(), '' from generate_series(1, 9) n`)
	ctx, cancel := context.WithDeadline(t.Context(), time.Now())
	defer cancel()
	q := DueQuery{Taken: []int64{}}
	if _, err := c.Due(ctx, &q); !errors.Is(err, context.DeadlineExceeded) {
		t.Fatal(err)
	}
	if b, err := c.Due(t.Context(), &q); err != nil || len(b.Due) != 8 || !b.CutOff {
		t.Errorf("%d deliveries, cut off: %t, %v", len(b.Due), b.CutOff, err)
	}
}
