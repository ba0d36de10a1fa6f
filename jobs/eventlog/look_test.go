package eventlog

import (
	"strings"
	"sync/atomic"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/jobstest"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// However many deliveries wait, a look reads by index what is due and the beginning of the keys that it looks at.
func TestLookReadsNoMoreThanItNeeds(t *testing.T) {
	pool := jobstest.Pool(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	jobstest.MustExec(t, pool, `alter table pgsolo.delivery set (autovacuum_enabled = false)`) // which analyzes, too
	const insert = `insert into pgsolo.delivery (handler, event_id, topic, key, payload, headers, created_at, attempt, state, next_at, error)
		select 'h', n, 't', `
	for name, rows := range map[string]string{
		"one key": insert + `'k', '{}', '{}', now(), 0, case when n = 1 then 'dead' else 'waiting' end, null, ''
			from generate_series(1, 100000) n`,
		"keys": insert + `'k' || n / 2, '{}', '{}', now(), 0, case when n % 2 = 0 then 'retry' else 'waiting' end,
			now() + interval '1 hour', '' from generate_series(1, 100000) n`,
		"due": insert + `'k' || n, '{}', '{}', now(), 0, 'scheduled', now() - n * interval '1 ms', ''
			from generate_series(1, 100000) n`,
		"due behind the bar": insert + `'k', '{}', '{}', now(), 0, case when n = 1 then 'dead' else 'retry' end, now(), ''
			from generate_series(1, 100000) n`,
		"dead": insert + `'k' || n, '{}', '{}', now(), 0, 'dead', null, '' from generate_series(1, 100000) n`,
	} {
		for _, analyze := range []string{"", "analyze pgsolo.delivery"} {
			t.Run(name+" "+analyze, func(t *testing.T) {
				for _, statement := range []string{"truncate pgsolo.delivery", rows, analyze} {
					if _, err := conn.Exec(t.Context(), statement); err != nil {
						t.Fatal(err)
					}
				}
				for what, sql := range map[string]string{"none": selectDue, "key": selectLook} {
					args := []any{"h", []int64{}, retryPage}
					if sql == selectLook {
						args = append(args, true, []string{"k", "k1"}, maxCandidates, "", []string{})
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
					t.Logf("%s: %s", what, lines[len(lines)-1])
				}
			})
		}
	}
}

// A look may find the row of a failed event before the loop knows that the write which makes it has ended. It would be in hand, and then
// forgotten with the end of that write, and come once more.
func TestLookBesideTheWriteOfAFailure(t *testing.T) {
	c := newConsumer(Handler{Name: "h", Retry: jobs.Retry{Attempts: 3}}, logread.NewLog(logread.Reader{}, new(atomic.Int64)), hclog.NewNullLogger())
	c.begin(jobs.Lead{})
	due := found{next: retryLook, due: []queue.Delivery{{Record: &logread.Record{ID: 5}, Attempt: 2, Retry: true}, {Record: &logread.Record{ID: 6}, Attempt: 2, Retry: true}}}
	c.writing = &progress{failed: []failure{{id: 5, attempt: 1}}}
	c.looked(look{}, &due)
	if _, taken := c.retrying[5]; taken || c.queue.Length() != 1 {
		t.Errorf("in hand: %v; %d in the queue", c.retrying, c.queue.Length())
	}
	if err := c.written(outcome{apply: func() {}}); err != nil {
		t.Fatal(err)
	}
	if _, taken := c.retrying[6]; !taken {
		t.Error("the other one is forgotten")
	}
	c.looked(look{}, &due)
	if _, taken := c.retrying[5]; !taken {
		t.Error("not taken after the write either")
	}
}
