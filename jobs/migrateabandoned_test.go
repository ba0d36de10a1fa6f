package jobs

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// An election that only the version before has led holds back what it did before, and is shown when nobody leads it,
// also one that comes after the migration.
func TestMigrateElectionsThatNobodyLeads(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	before(t, conn)
	exec(t, conn, `insert into pgsolo.cursor (handler, "group", topic, term, seen_at) values
		('gone', 'gone', 't', 1, now() - interval '8 days'), ('quiet', 'quiet', 't', 1, now() - interval '2 days'),
		('led', 'led', 't', 1, now() - interval '61 minutes')`)
	exec(t, conn, `insert into pgsolo.cron_job (job, "group", schedule, last_at) values ('j', 'cron', '@daily', now())`)
	exec(t, conn, `insert into pgsolo.event (topic) values ('t'), ('t')`)
	if err := Migrate(t.Context(), conn, DefaultSchema); err != nil {
		t.Fatal(err)
	}
	exec(t, conn, `insert into pgsolo.cursor (handler, "group", topic, term, seen_at)
		values ('later', 'later', 't', 1, now() - interval '2 days')`)
	for what, sql := range map[string]string{
		"cron gone led quiet": `select string_agg("group", ' ' order by "group") from pgsolo.jobs_group`,
		"later led quiet":     `select string_agg(handler, ' ' order by handler) from pgsolo.cursor where configured`,
		"gone true":           `select string_agg(name || ' ' || retired, ' ') from pgsolo.undeclared`,
		"later 2, quiet 2":    `select string_agg(name || ' ' || rows, ', ' order by name) from pgsolo.held_back`,
	} {
		if got := pgtest.Value[string](t, conn, sql); got != what {
			t.Errorf("%q, want %q", got, what)
		}
	}
	exec(t, conn, `insert into pgsolo.cursor as c (handler, "group", topic, term) values ('gone', 'gone', 't', 2)
		on conflict (handler) do update set term = excluded.term, configured = true, seen_at = now()`)
	if n := pgtest.Value[int](t, conn, `select count(*) from pgsolo.undeclared`); n != 0 {
		t.Errorf("%d marks once the version before leads it again", n)
	}
}
