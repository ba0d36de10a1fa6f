package jobs

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Keys that an earlier version holds for longer than 30 days are held for 30 days from the migration on. A topic
// that is longer than one may be now stays in the log.
func TestMigrateBoundsDedupKeys(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	before(t, conn)
	exec(t, conn, `insert into pgsolo.dedup values ('t', 'for ever', 'infinity'),
		('t', 'long', now() + interval '1 year'),
		('t', 'short', now() + interval '1 day'); insert into pgsolo.event (topic) values (repeat('t', 1001))`)
	if err := Migrate(t.Context(), conn, DefaultSchema); err != nil {
		t.Fatal(err)
	}
	const held = `select array_agg(round(extract(epoch from expires_at - now()) / 86400)::int order by dedup_key)
		from pgsolo.dedup`
	if got := pgtest.Value[[]int](t, conn, held); len(got) != 3 || got[0] != 30 || got[1] != 30 || got[2] != 1 {
		t.Errorf("keys are held for %v days", got)
	}
}
