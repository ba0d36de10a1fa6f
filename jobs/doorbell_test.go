package jobs

import (
	"context"
	"testing"
	"time"
)

// A producer rings while the bell is armed, unless its transaction asks for silence: PostgreSQL refuses to prepare, for two-phase
// commit, one that has notified.
func TestRing(t *testing.T) {
	pool := setup(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `listen "pgsolo.event"`); err != nil {
		t.Fatal(err)
	}
	insert := func(arm bool, ring string) {
		t.Helper()
		tx := begin(t, pool)
		if _, err := tx.Exec(t.Context(), `insert into pgsolo.doorbell ("group", armed, term) values ('main', $1, 1)
			on conflict ("group") do update set armed = excluded.armed`, arm); err != nil {
			t.Fatal(err)
		}
		value[string](t, tx, `select set_config('pgsolo.ring', $1, true)`, ring)
		emit(t, tx, "t", `1`)
		commit(t, tx)
	}
	for name, test := range map[string]struct {
		armed bool
		ring  string
		rings bool
	}{
		"armed":             {true, "", true},
		"not armed":         {false, "", false},
		"armed, but silent": {true, "off", false},
	} {
		insert(test.armed, test.ring)
		if _, err := pool.Exec(t.Context(), `select pg_notify('pgsolo.event', 'last')`); err != nil {
			t.Fatal(err)
		}
		rang := false
		for {
			ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
			n, err := conn.Conn().WaitForNotification(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if n.Payload == "last" {
				break
			}
			rang = true
		}
		if rang != test.rings {
			t.Errorf("%s: rang: %v, want %v", name, rang, test.rings)
		}
	}
}
