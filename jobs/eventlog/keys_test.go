package eventlog

import (
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/keys"
)

// The state that the test is about is that all keys count as blocked.
func TestTooManyBlockedKeys(t *testing.T) {
	pgtest.Quickly(t, cursor.DueEvery, func() time.Duration {
		pool := jobstest.Pool(t)
		o, h, _ := setupDead(t, OnDeadBlockKey)
		if _, err := pool.Exec(t.Context(), `insert into pgsolo.delivery
			(handler, event_id, topic, key, payload, headers, created_at, attempt, state, error)
			select 'h', -1 - n, 't', 'dead' || n, '{}', '{}', now(), 1, 'dead', ''
				from generate_series(0, $1::int) n`, keys.MaxBlocked); err != nil {
			t.Fatal(err)
		}
		l := lead(t, pool, 1, h)
		emitKey(t, pool, "dead0")
		for range 50 {
			emitKeys(t, pool, "k", 2)
			emitKey(t, pool, "")
		}
		began := time.Now()
		o.check(150)
		took := time.Since(began)
		pgtest.Eventually(t, "the dead key's event to wait", func() bool { return deliveries(t, pool, "waiting") == 1 })
		l.quit()
		if _, all := l.runner.handlers[0].consumer.keys.RecountAt(); !all {
			t.Error("not the state that the test is about")
		}
		return took
	})
}
