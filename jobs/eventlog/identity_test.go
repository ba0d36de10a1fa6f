package eventlog

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// keysOf leads until the handler has got so many attempts, and returns the idempotency keys by payload. One whose
// payload has an f fails, and is a dead letter.
func (r *restart) keysOf(attempts int) map[string]string {
	r.t.Helper()
	type attempt struct{ payload, key string }
	got := make(chan attempt, 100)
	l := r.lead(func(h *Handler) {
		h.Retry = jobs.Retry{Attempts: 1}
		h.Handle = func(_ context.Context, e Event) error {
			payload := strings.Trim(string(e.Payload), `"`)
			got <- attempt{payload, e.IdempotencyKey()}
			if strings.Contains(payload, "f") {
				return errors.New("fails")
			}
			return nil
		}
	})
	keys := map[string]string{}
	for range attempts {
		a := pgtest.Within(r.t, "an attempt", got)
		keys[a.payload] = a.key
	}
	r.done()
	l.quit()
	return keys
}

// Equal ids of two logs make different keys. Those of a log that was there before logs had identities stay.
func TestKeysOfTwoLogs(t *testing.T) {
	a, b, before := setupRestart(t), setupRestart(t), setupRestart(t)
	jobstest.MustExec(t, before.pool, `update pgsolo.log set identity = '', counter = pgsolo.log_counter()`)
	var keys []string
	for _, r := range []*restart{a, b, before} {
		r.emit(r.pool, "1")
		keys = append(keys, r.keysOf(1)["1"])
	}
	if keys[0] == keys[1] || keys[0] == "h/1" || keys[2] != "h/1" {
		t.Errorf("keys %q", keys)
	}
	if logged := a.logged.String(); logged != "" {
		t.Errorf("logged of a new one:\n%s", logged)
	}
}

// What is emitted to another log than before has other keys, and what was emitted before keeps its own.
func TestKeysOfALogThatIsAnotherOne(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool{
		"a copy of the database": func(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
			config := pool.Config()
			pool.Close()
			name := config.ConnConfig.Database
			admin := config.ConnConfig.Copy()
			admin.Database = "postgres"
			conn, err := pgx.ConnectConfig(t.Context(), admin)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { _ = conn.Close(context.Background()) })
			copied := pgx.Identifier{name + "_copy"}.Sanitize()
			jobstest.MustExec(t, conn, `create database `+copied+` template `+pgx.Identifier{name}.Sanitize())
			config.ConnConfig.Database = name + "_copy"
			pool, err = pgxpool.NewWithConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				pool.Close()
				_, err := conn.Exec(context.Background(), `drop database `+copied+` with (force)`)
				if err != nil {
					t.Error(err)
				}
			})
			return pool
		},
		"another server": func(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
			jobstest.MustExec(t, pool,
				`update pgsolo.log set counter = '1/' || substr(counter, strpos(counter, '/') + 1)`)
			return pool
		},
		"another timeline": func(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
			jobstest.MustExec(t, pool, `update pgsolo.log set counter = replace(counter, '/00000001/', '/00000002/')`)
			return pool
		},
		"one that was renewed by hand": func(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
			jobstest.MustExec(t, pool, `select pgsolo.renew_identity()`)
			return pool
		},
		"one that began again": func(t *testing.T, pool *pgxpool.Pool) *pgxpool.Pool {
			jobstest.MustExec(t, pool, truncate)
			return pool
		},
	} {
		for _, identity := range []string{"", "old"} {
			t.Run(name+", from identity '"+identity+"'", func(t *testing.T) {
				r := setupRestart(t)
				jobstest.MustExec(t, r.pool,
					`update pgsolo.log set identity = $1, counter = pgsolo.log_counter()`, identity)
				r.emit(r.pool, "1", "2f")
				before := r.keysOf(2)
				jobstest.MustExec(t, r.pool,
					`select pgsolo.note_checked(0, 2, now(), pg_snapshot_xmax(pg_current_snapshot()))`)
				r.pool = change(t, r.pool)
				r.emit(r.pool, "3")
				after := r.keysOf(1)
				jobstest.MustExec(t, r.pool, `select pgsolo.replay('h')`)
				again := r.keysOf(1)
				if again["2f"] != before["2f"] || after["3"] == "" || !strings.HasPrefix(after["3"], "h/") {
					t.Errorf("keys %q, and then %q, and %q of a replay", before, after, again)
				}
				if strings.HasPrefix(after["3"], "h/old/") || after["3"] == "h/3" {
					t.Errorf("the new event has key %q; before %q", after["3"], before)
				}
			})
		}
	}
}
