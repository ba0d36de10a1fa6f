package replica

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// After the leader row was lost, and its tables alone were restored, the next leader's term is above what the engines
// have seen: it leads at once, also one that has stood by for long.
func TestTermAfterTheLeaderRowWasLost(t *testing.T) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	const src = forStatements + `
		topic "orders" {}
		handler "h" {
			topic = "orders"
			exec { command = ["true"] }
		}
		cron "c" {
			schedule = "@yearly"
			exec { command = ["true"] }
		}`
	for name, of := range map[string]string{
		"a cursor": `update pgsolo.cursor set term = 1000`, "the doorbell": `update pgsolo.doorbell set term = 2000`,
		"a group":                     `update pgsolo.jobs_group set term = 2500`,
		"cron jobs":                   `update pgsolo.cron_leader set term = 3000`,
		"a job of the version before": `update pgsolo.cron_job set term = 4000`,
		"an open run": `insert into pgsolo.cron_run (job, scheduled_at, term)
			values ('c', now(), 5000)`,
	} {
		t.Run(name, func(t *testing.T) {
			leads := func(t *testing.T) {
				lowest, err := jobs.LowestTerm(t.Context(), conn, "pgsolo")
				if err != nil {
					t.Fatal(err)
				}
				setup(t, url, src)
				pgtest.Eventually(t, "a leader of the engines", func() bool {
					return pgtest.Value[bool](t, conn, `
						select coalesce((select min(term) >= $1 and count(*) = 3 from (
						select term from pgsolo.cursor union all select term from pgsolo.cron_leader union all
						select term from pgsolo.doorbell) t), false)`, lowest)
				})
			}
			t.Run("before", leads)
			jobstest.MustExec(t, conn, of+`; delete from pgsolo.leader`)
			t.Run("after", leads)
		})
	}
}

// Each column of a term that the engines have in the schema counts: that of a later migration, too.
func TestLowestTermCountsEveryTerm(t *testing.T) {
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	for _, row := range []string{
		`pgsolo.cursor (handler) values ('h')`, `pgsolo.doorbell ("group", armed, term) values ('g', false, 1)`,
		`pgsolo.jobs_group ("group") values ('g')`, `pgsolo.cron_leader ("group", term) values ('g', 1)`,
		`pgsolo.cron_job (job, schedule, last_at) values ('j', '@daily', now())`,
		`pgsolo.cron_run (job, scheduled_at, term, outcome) values ('j', now(), 1, 'ok')`,
		`pgsolo.configuration ("group", engine, fingerprint, body, term) values ('g', 'cron', 'f', '{}', 1)`,
		`pgsolo.handler_term (handler, "group", term, server, began_at, head, stuck_since)
			values ('h', 'g', 1, '', now(), 1, now())`,
	} {
		jobstest.MustExec(t, conn, `insert into `+row)
	}
	tables := pgtest.Value[[]string](t, conn, `
		select array_agg(c.relname::text order by c.relname) from pg_attribute a join pg_class c on c.oid = a.attrelid
		where c.relnamespace = 'pgsolo'::regnamespace and c.relkind = 'r' and a.attname = 'term'
			and c.relname not in ('leader', 'leader_term') -- which are the election's own`)
	if len(tables) < 6 {
		t.Errorf("tables with a term: %v", tables)
	}
	for i, table := range tables {
		term := int64(i+1) * 1000
		tag, err := conn.Exec(t.Context(), `update pgsolo.`+table+` set term = $1`, term)
		if err != nil || tag.RowsAffected() == 0 {
			t.Errorf("%s: %v; it needs a row above", table, err)
			continue
		}
		if lowest, err := jobs.LowestTerm(t.Context(), conn, "pgsolo"); err != nil || lowest != term+1 {
			t.Errorf("with term %d in %s, the lowest that will do is %d, %v", term, table, lowest, err)
		}
	}
}
