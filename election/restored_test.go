package election_test

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// The tables go and come again under a leader and a standby, as in a restore: the leader ends by the true reason, the
// standby waits until they are there, and nobody leads with the new ones before the leader of the old ones has ended.
func TestTablesAreMadeAnew(t *testing.T) {
	t.Parallel()
	const drop = `drop schema pgsolo cascade`
	for name, test := range map[string]struct{ drop, missing, log string }{
		"later":              {drop: drop, missing: "migrate it", log: "migrate it"},
		"in one transaction": {drop: `begin; ` + drop, log: "made anew"}, // that of the migration
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url := pgtest.Database(t)
			conn := pgtest.Connect(t, url)
			longer := func(o *election.Options) { o.Lease = 2 * brief } // a ping in two seconds
			before := setup(t, url, longer)
			pgtest.Within(t, "a leader", before.leading)
			before.stop()
			pgtest.Within(t, "its end", before.ended)
			first := setup(t, url, longer)
			pgtest.Within(t, "the first leader", first.leading)
			var log pgtest.Buffer
			standby := setup(t, url, longer, func(o *election.Options) {
				o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log})
			})
			pgtest.Eventually(t, "the standby", func() bool {
				return standby.elector.Status().Role == election.Standby
			})

			execute(t, conn, test.drop)
			pgtest.Eventually(t, "a word about what is missing", func() bool {
				return strings.Contains(log.String(), test.missing)
			})
			if err := election.Migrate(t.Context(), conn, election.DefaultSchema); err != nil {
				t.Fatal(err)
			}
			late := setup(t, url, longer)
			mustFollow(t, first, "tables cannot be used", standby, late)
			pgtest.Within(t, "the end", first.ended)
			if !strings.Contains(log.String(), test.log) {
				t.Errorf("the standby says:\n%s", &log)
			}
		})
	}
}

// A replica writes no row of its election into a table that has no key yet: a restore that goes on would find it there.
func TestTablesAreNotComplete(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	execute(t, conn, `alter table pgsolo.leader drop constraint leader_pkey cascade`)
	var log pgtest.Buffer
	r := setup(t, url, func(o *election.Options) { o.Logger = hclog.New(&hclog.LoggerOptions{Output: &log}) })
	pgtest.Eventually(t, "a word about it", func() bool { return strings.Contains(log.String(), "there and complete") })
	execute(t, conn, `insert into pgsolo.leader (election, term) values ('main', 7);
		alter table pgsolo.leader add primary key (election)`)
	if term := pgtest.Within(t, "a leader", r.leading); term.Number != 8 {
		t.Errorf("term %d follows 7", term.Number)
	}
}

func execute(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}
