package emit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// expireKeys lets the windows of all keys pass.
const expireKeys = `update pgsolo.dedup set expires_at = clock_timestamp() - interval '1 millisecond'`

func TestEmitDropsAKeyWithinItsWindow(t *testing.T) {
	pool := jobstest.Pool(t)
	event := Event{Topic: "t", DedupKey: "k"}
	emits := func(what string, event Event, want bool) {
		t.Helper()
		if id := newEvent(t, pool, event); (id > 0) != want {
			t.Errorf("%s: got id %d, want an event: %t", what, id, want)
		}
	}
	window := func(want time.Duration) {
		t.Helper()
		left := pgtest.Value[float64](t, pool, `select extract(epoch from expires_at - clock_timestamp())::float8
			from pgsolo.dedup where topic = 't'`)
		if left > want.Seconds() || left < want.Seconds()-20 {
			t.Errorf("the window has %.0f s to go, want %s", left, want)
		}
	}
	emits("first", event, true)
	window(24 * time.Hour)
	emits("second", event, false)
	event.DedupWindow = time.Hour
	emits("with another window, while that of the first counts", event, false)
	window(24 * time.Hour)
	emits("another topic", Event{Topic: "other", DedupKey: "k"}, true)
	emits("another key", Event{Topic: "other", DedupKey: "l"}, true)
	jobstest.MustExec(t, pool, expireKeys)
	emits("after the window", event, true)
	window(time.Hour)
	emits("within the next window", event, false)
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.event`); n != 4 {
		t.Errorf("%d events, want 4", n)
	}
	tx := jobstest.Begin(t, pool)
	event.Topic = "tx"
	if first, second := newEvent(t, tx, event), newEvent(t, tx, event); first == 0 || second != 0 {
		t.Errorf("in one transaction: ids %d and %d, want one event", first, second)
	}
}

func TestEmitSQLRefusesANegativeWindow(t *testing.T) {
	pool := jobstest.Pool(t)
	for _, window := range []*string{new("-1 second"), nil} {
		_, err := pool.Exec(t.Context(),
			`select pgsolo.emit('t', dedup_key => 'k', dedup_window => $1::text::interval)`, window)
		if err == nil {
			t.Error("accepted")
		}
	}
}

// A key is held for 30 days at most: whoever may emit cannot keep others from emitting with it for ever.
func TestEmitSQLBounds(t *testing.T) {
	pool := jobstest.Pool(t)
	const withWindow = `select pgsolo.emit('t', dedup_key => 'k', dedup_window => '%s')`
	for _, test := range []struct{ sql, want string }{
		{fmt.Sprintf(withWindow, "30 days 1 second"), "event log: dedup_window is 30 days 00:00:01, more than 30 days"},
		{fmt.Sprintf(withWindow, "290000 years"), "event log: dedup_window is 290000 years, more than 30 days"},
		{`select pgsolo.emit(repeat('t', 1001))`, "event_topic_length"},
		{`insert into pgsolo.event (topic) values (repeat('t', 1001))`, "event_topic_length"},
	} {
		if _, err := pool.Exec(t.Context(), test.sql); err == nil || !strings.Contains(err.Error(), test.want) {
			t.Errorf("%s: error %v", test.sql, err)
		}
	}
	jobstest.MustExec(t, pool, fmt.Sprintf(withWindow, "30 days")+`; select pgsolo.emit(repeat('t', 1000))`)
	if err := (Producer{}).EmitAll(t.Context(), pool, []Event{{Topic: strings.Repeat("t", 1001)}}); err == nil {
		t.Error("EmitAll has accepted a topic of 1001 bytes")
	}
}

// Eight sessions emit a key while a transaction that has emitted it is open. All wait, and how it ends decides.
func TestEmitDropsAKeyOfOthersAtTheSameTime(t *testing.T) {
	for name, test := range map[string]struct {
		expired, commit bool
		want            int
	}{
		"first one commits":               {false, true, 0},
		"first one rolls back":            {false, false, 1},
		"of an old key, first commits":    {true, true, 0},
		"of an old key, first rolls back": {true, false, 1},
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			event := Event{Topic: "t", DedupKey: "k"}
			if test.expired {
				newEvent(t, pool, event)
				jobstest.MustExec(t, pool, expireKeys)
			}
			first := jobstest.Begin(t, pool)
			if newEvent(t, first, event) == 0 {
				t.Fatal("the first one was dropped")
			}
			const sessions = 8
			ids := make(chan int64, sessions)
			for range sessions {
				conn := jobstest.OwnSession(t, pool)
				go func() {
					id, err := Producer{}.Emit(context.Background(), conn, event)
					if err != nil {
						t.Error(err)
					}
					ids <- id
				}()
			}
			pgtest.Eventually(t, "all to wait", func() bool {
				return pgtest.Value[int](t, pool, `select count(*) from pg_stat_activity
					where datname = current_database() and wait_event_type = 'Lock'`) == sessions
			})
			end := first.Rollback
			if test.commit {
				end = first.Commit
			}
			if err := end(t.Context()); err != nil {
				t.Fatal(err)
			}
			won := 0
			for range sessions {
				if pgtest.Within(t, "an emit", ids) > 0 {
					won++
				}
			}
			if won != test.want {
				t.Errorf("%d of %d were not dropped, want %d", won, sessions, test.want)
			}
		})
	}
}

// A transaction that cannot see the first one's key fails to serialize, and its next try drops the event.
func TestEmitDropsAKeyUnderRepeatableRead(t *testing.T) {
	pool := jobstest.Pool(t)
	event := Event{Topic: "t", DedupKey: "k"}
	for _, level := range []pgx.TxIsoLevel{pgx.RepeatableRead, pgx.Serializable} {
		event.Topic = string(level)
		try := func(before func()) (id int64, err error) {
			t.Helper()
			tx, err := pool.BeginTx(t.Context(), pgx.TxOptions{IsoLevel: level})
			if err != nil {
				t.Fatal(err)
			}
			defer func() { _ = tx.Rollback(context.Background()) }()
			pgtest.Value[int](t, tx, `select 1`) // from here on it sees nothing new
			before()
			id, err = Producer{}.Emit(t.Context(), tx, event)
			if err != nil {
				return 0, err
			}
			return id, tx.Commit(t.Context())
		}
		_, err := try(func() { newEvent(t, pool, event) })
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.Code != "40001" {
			t.Errorf("%s: got %v, want a failure to serialize", level, err)
		}
		if id, err := try(func() {}); id != 0 || err != nil {
			t.Errorf("%s: next try: %d, %v, want it dropped", level, id, err)
		}
		if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.event where topic = $1`, event.Topic); n != 1 {
			t.Errorf("%s: %d events, want 1", level, n)
		}
	}
}
