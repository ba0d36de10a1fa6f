package e2e

import (
	"context"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// replicas are processes of one configuration against one database.
type replicas struct {
	t    *testing.T
	path string
	url  string
	conn *pgx.Conn
	all  []*process
}

func startReplicas(t *testing.T, url, more string, n int) *replicas {
	r := &replicas{t: t, path: configure(t, url, more), url: url, conn: pgtest.Connect(t, url)}
	for range n {
		r.start()
	}
	return r
}

func (r *replicas) start() *process {
	// With the race detector a program waits for a second before it exits.
	p := start(r.t, []string{"GORACE=atexit_sleep_ms=0"}, "run", "-c", r.path)
	r.all = append(r.all, p)
	return p
}

// leader waits for one with a later term.
func (r *replicas) leader(after int64) (leads *process, term int64) {
	r.t.Helper()
	pgtest.Eventually(r.t, "a leader", func() bool {
		var pid int64
		err := r.conn.QueryRow(r.t.Context(), `select split_part(holder, '/', -1)::bigint, term
			from pgsolo.leader where term > $1`, after).Scan(&pid, &term)
		if r.conn.IsClosed() { // a server that crashes ends sessions that were opened just before it noticed
			r.reconnect()
		}
		for _, p := range r.all {
			if err == nil && int64(p.PID()) == pid {
				leads = p
			}
		}
		return leads != nil
	})
	return leads, term
}

// reconnect opens the test's session anew, if the server lets it.
func (r *replicas) reconnect() {
	if conn, err := pgx.ConnectConfig(r.t.Context(), r.conn.Config()); err == nil {
		r.t.Cleanup(func() { conn.Close(context.Background()) })
		r.conn = conn
	}
}

// has waits until a query of one boolean says so.
func (r *replicas) has(what, query string, args ...any) {
	r.t.Helper()
	pgtest.Eventually(r.t, what, func() bool { return pgtest.Value[bool](r.t, r.conn, query, args...) })
}

func (r *replicas) exec(sql string, args ...any) {
	r.t.Helper()
	if _, err := r.conn.Exec(r.t.Context(), sql, args...); err != nil {
		r.t.Fatal(err)
	}
}

// Sessions of the first term's leader.
const (
	ofFirstTerm = ` from pg_stat_activity
		where datname = current_database() and application_name = 'pgsolo main term 1'`
	waits  = `select count(*) > 0` + ofFirstTerm + ` and wait_event_type = 'Lock'`
	isGone = `select count(*) = 0` + ofFirstTerm
)

// lock runs a statement that locks rows. unlock gives them free again.
func (r *replicas) lock(sql string) (unlock func()) {
	r.t.Helper()
	conn := pgtest.Connect(r.t, r.url)
	tx, err := conn.Begin(r.t.Context())
	if err == nil {
		_, err = tx.Exec(r.t.Context(), sql)
	}
	if err != nil {
		r.t.Fatal(err)
	}
	return func() {
		r.t.Helper()
		if err := tx.Rollback(context.Background()); err != nil {
			r.t.Fatal(err)
		}
		conn.Close(context.Background())
	}
}

// lockLeader keeps every leader from writing to the rows of cron jobs, from a moment on at which none of them is open.
func (r *replicas) lockLeader() (unlock func()) {
	r.t.Helper()
	pgtest.Eventually(r.t, "a moment without a run", func() bool {
		unlock = r.lock(`select from pgsolo.cron_leader for update`)
		if pgtest.Value[bool](r.t, r.conn, `select not exists (
				select from pgsolo.cron_run where outcome in ('queued', 'running', 'retrying'))`) {
			return true
		}
		unlock()
		return false
	})
	return unlock
}
