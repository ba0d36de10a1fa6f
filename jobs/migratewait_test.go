package jobs

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/internal/migration"
)

// before makes the tables of the version before.
func before(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	all, err := set.Load(DefaultSchema)
	if err != nil {
		t.Fatal(err)
	}
	all = slices.DeleteFunc(all, func(m migration.Migration) bool { return m.Name > "0006" })
	if err := set.Apply(t.Context(), conn, DefaultSchema, all); err != nil {
		t.Fatal(err)
	}
}

// leads does what a leader of the version before does with its cursor and its doorbell, which no lock of a migration
// may keep waiting.
func leads(ctx context.Context, conn *pgx.Conn) error {
	for range 3 {
		for _, sql := range []string{
			`insert into pgsolo.cursor as c (handler, topic, term) values ('a', 't', 1)
				on conflict (handler) do update set term = excluded.term`,
			`update pgsolo.cursor set done = done + '{[1,2)}' where handler = 'a' and term = 1`,
			`insert into pgsolo.doorbell as d ("group", armed, term) values ('main', false, 1)
				on conflict ("group") do update set armed = excluded.armed`,
		} {
			if _, err := conn.Exec(ctx, sql); err != nil {
				return fmt.Errorf("%s: %w", sql, err)
			}
		}
	}
	return nil
}

// A reader that is idle in its transaction keeps a migration waiting, which names it, and no leader.
func TestMigrateWaitsBesideALeader(t *testing.T) {
	url := pgtest.Database(t)
	migrating, leader, reader := pgtest.Connect(t, url), pgtest.Connect(t, url), pgtest.Connect(t, url)
	before(t, migrating)
	exec(t, reader, `set application_name = 'the reader'; begin; select from pgsolo.handler`)
	var log pgtest.Buffer
	ctx := hclog.WithContext(t.Context(), hclog.New(&hclog.LoggerOptions{Output: &log}))
	ended := make(chan error, 1)
	go func() { ended <- Migrate(ctx, migrating, DefaultSchema) }()
	pgtest.Eventually(t, "a line of the log", func() bool {
		return strings.Contains(log.String(), "(application the reader, idle in transaction)")
	})
	if err := leads(t.Context(), leader); err != nil {
		t.Fatal(err)
	}
	exec(t, reader, `commit`)
	if err := pgtest.Within(t, "migrations", ended); err != nil {
		t.Fatal(err)
	}
	if err := CheckSchema(t.Context(), migrating, DefaultSchema); err != nil {
		t.Error(err)
	}
}

// A migration gives up by name, and leaves nothing locked.
func TestMigrateGivesUp(t *testing.T) {
	url := pgtest.Database(t)
	migrating, other := pgtest.Connect(t, url), pgtest.Connect(t, url)
	before(t, migrating)
	for name, locked := range map[string]string{
		"a table":           `lock table pgsolo.cursor in row share mode`,
		"a view":            `lock table pgsolo.dead_letter in access share mode; select from pgsolo.handler`,
		"another migration": `select pg_advisory_xact_lock(hashtext('pgsolo migrate'))`,
	} {
		exec(t, other, `set application_name = 'other'; begin; `+locked)
		err := set.Migrate(t.Context(), 0, migrating, DefaultSchema)
		want := fmt.Sprintf("process %d of role", other.PgConn().PID())
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", name, err, want)
		}
		exec(t, other, `rollback`)
	}
	if err := set.Migrate(t.Context(), 0, migrating, DefaultSchema); err != nil {
		t.Error(err)
	}
}

func exec(t *testing.T, conn *pgx.Conn, sql string) {
	t.Helper()
	if _, err := conn.Exec(t.Context(), sql); err != nil {
		t.Fatal(err)
	}
}

// Several deploys may migrate at once. One does it, and the others find it done.
func TestMigrateAtOnce(t *testing.T) {
	url := pgtest.Database(t)
	before(t, pgtest.Connect(t, url))
	const deploys = 4
	ended := make(chan error, deploys)
	for range deploys {
		conn := pgtest.Connect(t, url)
		go func() { ended <- Migrate(t.Context(), conn, DefaultSchema) }()
	}
	for range deploys {
		if err := pgtest.Within(t, "migrations", ended); err != nil {
			t.Error(err)
		}
	}
}
