package cron

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// The statements with which a leader begins are prepared on a standby's session, and not run, whatever the schema.
func TestWarmUp(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `alter schema pgsolo rename to other`)
	s, err := New(Options{Pool: pool, Schema: "other"})
	if err != nil {
		t.Fatal(err)
	}
	var prepared, leaders int
	err = pool.AcquireFunc(t.Context(), func(conn *pgxpool.Conn) error {
		if err := s.WarmUp(t.Context(), conn.Conn()); err != nil {
			return err
		}
		prepared = pgtest.Value[int](t, conn, `select count(*) from pg_prepared_statements
			where statement like '%cron_%'`)
		leaders = pgtest.Value[int](t, conn, `select count(*) from other.cron_leader`)
		return nil
	})
	if err != nil || prepared < 7 || leaders != 0 {
		t.Errorf("%d statements are prepared, %d leaders, %v", prepared, leaders, err)
	}
}
