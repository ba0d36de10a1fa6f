package listener

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// However many probes there are, of however many sessions, they are two statements for the statistics.
func TestProbesAreTwoStatements(t *testing.T) {
	t.Parallel()
	own := pgtest.Connect(t, pgtest.Database(t))
	const available = `select count(*) from pg_available_extensions where name = 'pg_stat_statements'`
	if pgtest.Value[int](t, own, available) == 0 {
		t.Skip("this PostgreSQL has no pg_stat_statements")
	}
	server := pgtest.Server(t, privatepg.Options{Settings: map[string]string{
		"shared_preload_libraries": "pg_stat_statements", "pg_stat_statements.track": "all",
	}})
	b := setupOn(t, server.URL("postgres"))
	b.exec(`create extension pg_stat_statements`)
	b.options.ProbeInterval = calm
	l := b.listener()
	b.run(l)
	b.established(l, "c")
	b.awaitProbes(l, 2)
	b.terminate()
	b.awaitProbes(l, 2)
	if n := pgtest.Value[int](t, b.conn, `select count(*) from pg_stat_statements
		where query like '%pg_notify(%' or query ilike 'notify %' or query like '%pg_listening_channels()%'`); n != 2 {
		t.Errorf("the probes are %d statements", n)
	}
}
