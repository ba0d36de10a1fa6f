package jobs

import (
	"context"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// A table may be large enough for autovacuum to take longer than a migration waits in all. It ends for the migration.
func TestMigrateEndsAutovacuum(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, privatepg.Options{Settings: map[string]string{
		"autovacuum": "on", "autovacuum_naptime": "1s", "deadlock_timeout": "700ms",
	}})
	url := server.URL("postgres")
	migrating, other := pgtest.Connect(t, url), pgtest.Connect(t, url)
	before(t, migrating)
	exec(t, other, `alter table pgsolo.event set (autovacuum_vacuum_cost_delay = 100, autovacuum_vacuum_cost_limit = 1,
			autovacuum_vacuum_threshold = 0, autovacuum_vacuum_scale_factor = 0,
			autovacuum_analyze_threshold = 1000000);
		insert into pgsolo.event (topic, payload)
			select 't', to_jsonb(repeat('x', 500)) from generate_series(1, 20000);
		delete from pgsolo.event`)
	pgtest.Eventually(t, "autovacuum to have begun", func() bool {
		return pgtest.Value[int](t, other, `select count(*) from pg_stat_progress_vacuum
			where relid = 'pgsolo.event'::regclass`) == 1
	})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Second)
	defer cancel()
	if err := set.Migrate(ctx, 40*time.Second, migrating, DefaultSchema); err != nil {
		t.Error(err)
	}
}
