package eventlog

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/internal/jobstest"
)

// Beyond a bound all keys count as blocked, until a read of the table shows that they are few again. What such a read
// may have missed is not forgotten.
func TestTooManyKeys(t *testing.T) {
	k := newKeys()
	for i := range maxBlocked {
		k.block(fmt.Sprint(i))
	}
	if k.all || k.isBlocked("other") {
		t.Fatal("too soon")
	}
	k.begun, k.ended = 1, 1 // these have rows now
	k.block("new")
	if !k.isBlocked("other") || len(k.blocked) != 1 {
		t.Fatalf("all: %t, %d keys", k.all, len(k.blocked))
	}
	if !k.isStale("new", 1) || k.isStale("other", 1) {
		t.Error("the new key's rows are taken for complete, or another one's are not")
	}
	k.loading = true
	k.begun, k.ended = 2, 2
	k.block("newer")
	k.load([]string{"old"}) // began before the row of the new one was there
	if k.all || !k.isBlocked("old") || !k.isBlocked("new") || !k.isBlocked("newer") || k.isBlocked("other") {
		t.Errorf("after the read: all: %t, keys: %v", k.all, k.blocked)
	}
}

func TestTooManyBlockedKeys(t *testing.T) {
	pgtest.Quickly(t, cursor.DueEvery, func() time.Duration {
		pool := jobstest.Pool(t)
		o, h, _ := setupDead(t, OnDeadBlockKey)
		if _, err := pool.Exec(t.Context(), `insert into pgsolo.delivery
			(handler, event_id, topic, key, payload, headers, created_at, attempt, state, error)
			select 'h', -1 - n, 't', 'dead' || n, '{}', '{}', now(), 1, 'dead', ''
				from generate_series(0, $1::int) n`, maxBlocked); err != nil {
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
		if !l.runner.handlers[0].consumer.keys.all {
			t.Error("not the state that the test is about")
		}
		return took
	})
}
