package retention

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestVacuumGivesSpaceBack(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
	tt.exec(`alter table pgsolo.event set (autovacuum_enabled = false)`)
	const size = `select pg_total_relation_size('pgsolo.event')`
	tt.fill(20_000, "t", 2*time.Hour)
	full := pgtest.Value[int64](t, tt.pool, size)
	tt.mustPass()
	if got := pgtest.Value[int64](t, tt.pool, size); got > full/4 && tt.log.heldSince.IsZero() {
		t.Errorf("the table had %d bytes, and has %d when it is empty", full, got)
	}
	most := full + full/2 // up to a sixth of it is not vacuumed yet, and pages of the index take another vacuum
	for range 5 {
		tt.fill(20_000, "t", 2*time.Hour)
		tt.mustPass()
		if !tt.log.heldSince.IsZero() { // by the snapshot of another session, such as autovacuum
			most += full
		}
	}
	if got := pgtest.Value[int64](t, tt.pool, size); got > most {
		t.Errorf("the table had %d bytes at first, and %d when it was filled five times more: "+
			"space is not used again; %+v; server: %s",
			full, got, tt.log, pgtest.Value[string](t, tt.pool,
				`select s::text from pg_stat_user_tables s where relid = 'pgsolo.event'::regclass`))
	}
}

func TestRetentionWithoutOwnership(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
	tt.db.Pool = tt.role("retention_guest", `select, delete on pgsolo.event`, `select, update on pgsolo.cursor`,
		`execute on function pgsolo.left_topics, pgsolo.declared_events`,
		`select, update, delete on pgsolo.dedup`)
	for range 2 {
		tt.fill(20_000, "t", 2*time.Hour)
		tt.mustPass()
		tt.wantCount("after a pass", 0)
	}
	if n := strings.Count(tt.logged.String(), "may not vacuum"); n != 1 {
		t.Errorf("it was logged %d times that the role may not vacuum:\n%s", n, &tt.logged)
	}
}

// An old snapshot keeps the space from being used again, not the events from being deleted.
func TestRetentionDuringAnOldTransaction(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
	tt.exec(`alter table pgsolo.event set (autovacuum_enabled = false)`)
	tt.fill(20_000, "t", 2*time.Hour)
	old, err := tt.pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: pgx.RepeatableRead})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = old.Rollback(context.Background()) }()
	pgtest.Value[string](t, old, `select set_config('application_name', 'report', true)`)
	pgtest.Value[int64](t, old, `select count(*) from pgsolo.event`)
	for range 3 {
		tt.mustPass()
		tt.wantCount("after a pass", 0)
		if tt.log.heldSince.IsZero() {
			t.Fatal("it was not noticed that space is held back")
		}
		tt.log.heldSince = tt.log.heldSince.Add(-heldForLong)
		tt.fill(20_000, "t", 2*time.Hour)
	}
	if n := strings.Count(tt.logged.String(), "an old transaction"); n != 1 {
		t.Errorf("it was logged %d times that space is held back:\n%s", n, &tt.logged)
	}
	if !strings.Contains(tt.logged.String(), "application=report") {
		t.Errorf("it was not logged whose it is:\n%s", &tt.logged)
	}
	if got := pgtest.Value[int64](t, old, `select count(*) from pgsolo.event`); got != 20_000 {
		t.Errorf("the old transaction sees %d events", got)
	}
	jobstest.Commit(t, old)
	// the first, unless autovacuum has a snapshot at this moment
	pgtest.Eventually(t, "a vacuum that nothing holds back", func() bool {
		tt.fill(20_000, "t", 2*time.Hour)
		tt.mustPass()
		return tt.log.heldSince.IsZero()
	})
}

// A vacuum takes as long as the server wants. It is neither in the way of producers nor of a planned stop, and the
// time-out of the role's statements is none for it.
func TestStopDuringVacuum(t *testing.T) {
	tt := setupTrim(t, map[string]time.Duration{"t": time.Hour})
	tt.exec(`alter table pgsolo.event set (autovacuum_enabled = false)`)
	tt.fill(20_000, "t", 2*time.Hour)
	config := tt.pool.Config()
	for name, setting := range map[string]string{"vacuum_cost_delay": "100", "vacuum_cost_limit": "1",
		"statement_timeout": "2000"} {
		config.ConnConfig.RuntimeParams[name] = setting
	}
	slow, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer slow.Close()
	tt.db.Pool, tt.pause = slow, time.Millisecond
	ended, end := startTrimmer(t, tt)
	const vacuums = `select count(*) from pg_stat_progress_vacuum where datname = current_database()`
	pgtest.Eventually(t, "a vacuum", func() bool { return pgtest.Value[int](t, tt.pool, vacuums) == 1 })
	pgtest.Eventually(t, "the vacuum to take longer than a statement may", func() bool {
		jobstest.Emit(t, tt.pool, "t", `1`)
		return pgtest.Value[bool](t, tt.pool, `select exists (select from pg_stat_activity
			where datname = current_database() and state = 'active' and query like 'vacuum %'
				and now() - query_start > '3 s')`)
	})
	end()
	pgtest.Within(t, "the trimmer to end", ended)
	pgtest.Eventually(t, "the vacuum to end", func() bool { return pgtest.Value[int](t, tt.pool, vacuums) == 0 })
}
