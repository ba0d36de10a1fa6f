package eventlog

import (
	"slices"
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// The statements with which a handler begins are prepared on a standby's session, and not run.
func TestWarmUp(t *testing.T) {
	own := jobstest.Pool(t)
	config := own.Config()
	config.MaxConns = 1
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	handler, handled := recorder("h", "t")
	first := lead(t, own, 1, handler) // compares the copied log with its counter, once
	jobstest.Emit(t, own, "t", `1`)
	pgtest.Within(t, "the first event", handled)
	first.quit()

	runner, err := New(Options{Pool: pool, Handlers: []Handler{handler}})
	if err != nil {
		t.Fatal(err)
	}
	prepared := func() []string {
		return pgtest.Value[[]string](t, pool, `select coalesce(array_agg(statement), '{}') from pg_prepared_statements
			where statement ~ 'pgsolo.handler_term|insert into pgsolo.cursor|join pgsolo.event'`)
	}
	warmUp := func(conn *pgxpool.Conn) error { return runner.WarmUp(t.Context(), conn.Conn()) }
	err = pool.AcquireFunc(t.Context(), warmUp)
	if err != nil {
		t.Fatal(err)
	}
	warm := prepared()
	if terms := pgtest.Value[[]int64](t, own, `select array[c.term, h.term] from pgsolo.cursor c
		join pgsolo.handler_term h using (handler)`); !slices.Equal(terms, []int64{1, 1}) {
		t.Errorf("terms %d after a standby's preparation", terms)
	}
	jobstest.Emit(t, own, "t", `2`)
	second := lead(t, pool, 2, handler)
	pgtest.Within(t, "the second event", handled)
	for _, statement := range prepared() {
		if !slices.Contains(warm, statement) {
			t.Errorf("not prepared: %.100s", statement)
		}
	}
	if len(warm) < 5 {
		t.Errorf("prepared: %q", warm)
	}
	second.quit()
}
