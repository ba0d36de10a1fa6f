package emit

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// newEvent emits and returns the id, or 0 for an event that was dropped.
func newEvent(t testing.TB, db Querier, event Event) int64 {
	t.Helper()
	id, err := Producer{}.Emit(t.Context(), db, event)
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// storedEvent is a row of the log.
type storedEvent struct {
	Topic, Payload, Headers string
	Key                     *string
	DeliverAt               *time.Time
}

func storedEvents(t testing.TB, pool *pgxpool.Pool) []storedEvent {
	t.Helper()
	rows, err := pool.Query(t.Context(),
		`select topic, payload::text, headers::text, key, deliver_at from pgsolo.event order by id`)
	if err != nil {
		t.Fatal(err)
	}
	events, err := pgx.CollectRows(rows, pgx.RowToStructByPos[storedEvent])
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestEmitStoresWhatIsGiven(t *testing.T) {
	pool := jobstest.Pool(t)
	at := time.Date(2031, 2, 3, 4, 5, 6, 789000, time.UTC)
	key := "k"
	full := Event{
		Topic: "orders", Key: key, Payload: []byte(`{"n": 1e2, "s": "\ud83d\ude00"}`),
		Headers: map[string]string{"tenant": `a"b`}, DeliverAt: at,
	}
	want := []storedEvent{
		{Topic: "orders", Payload: `{"n": 100, "s": "😀"}`, Headers: `{"tenant": "a\"b"}`, Key: &key, DeliverAt: &at},
		{Topic: "bills", Payload: "null", Headers: "{}"},
	}
	for mode := pgx.QueryExecModeCacheStatement; mode <= pgx.QueryExecModeSimpleProtocol; mode++ {
		for name, emit := range map[string]func(db *pgxpool.Pool, events []Event) error{
			"Emit": func(db *pgxpool.Pool, events []Event) error {
				for _, e := range events {
					e.DedupKey = fmt.Sprint(mode) // a key for each mode
					if _, err := (Producer{}).Emit(t.Context(), db, e); err != nil {
						return err
					}
				}
				return nil
			},
			"EmitAll": func(db *pgxpool.Pool, events []Event) error {
				return Producer{}.EmitAll(t.Context(), db, events)
			},
		} {
			config := pool.Config()
			config.ConnConfig.DefaultQueryExecMode = mode
			db, err := pgxpool.NewWithConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			jobstest.MustExec(t, pool, `truncate pgsolo.event`)
			err = emit(db, []Event{full, {Topic: "bills"}})
			db.Close()
			if err != nil {
				t.Errorf("%s, %s: %v", name, mode, err)
				continue
			}
			if diff := cmp.Diff(want, storedEvents(t, pool)); diff != "" {
				t.Errorf("%s, %s: -want +got\n%s", name, mode, diff)
			}
		}
	}
}

func TestEmitBelongsToTheTransaction(t *testing.T) {
	pool := jobstest.Pool(t)
	tx := jobstest.Begin(t, pool)
	first := newEvent(t, tx, Event{Topic: "t", DedupKey: "k"})
	if err := (Producer{}).EmitAll(t.Context(), tx, []Event{{Topic: "t"}}); err != nil {
		t.Fatal(err)
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.event`); n != 0 {
		t.Errorf("%d events before the commit", n)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	const rows = `select (select count(*) from pgsolo.event) + (select count(*) from pgsolo.dedup)`
	if n := pgtest.Value[int](t, pool, rows); n != 0 {
		t.Errorf("%d rows after the rollback", n)
	}
	tx = jobstest.Begin(t, pool)
	second := newEvent(t, tx, Event{Topic: "t", DedupKey: "k"})
	if second <= first {
		t.Errorf("got id %d after %d, want the event of a rolled-back transaction to drop none", second, first)
	}
	jobstest.Commit(t, tx)
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.event where id = $1`, second); n != 1 {
		t.Errorf("%d events after the commit, want 1", n)
	}
}

// The caller's transaction can go on after each of these.
func TestEmitRefusesBeforeTheServerDoes(t *testing.T) {
	tx := jobstest.Begin(t, jobstest.Pool(t))
	for _, test := range []struct {
		event Event
		want  string
	}{
		{Event{}, "topic is required"},
		{Event{Topic: "a\x00"}, "topic: NUL at byte 2"},
		{Event{Topic: "t", Key: "ab\xff"}, "key: invalid UTF-8 at byte 3"},
		{Event{Topic: "t", Payload: []byte{}}, "payload: at byte 0: unexpected end of JSON input"},
		{
			Event{Topic: "t", Payload: []byte(`{"a": x}`)},
			"payload: at byte 7: invalid character 'x' looking for beginning of value",
		},
		{Event{Topic: "t", Payload: []byte(`["\\u0000 \u0000"]`)}, `payload: NUL, as \u0000, at byte 11`},
		{Event{Topic: "t", Payload: []byte(`"\ud83d\n"`)}, `payload: half a surrogate pair, \ud83d, at byte 2`},
		{Event{Topic: "t", Payload: []byte("\"a\xff\"")}, "payload: invalid UTF-8 at byte 3"},
		{Event{Topic: "t", Headers: map[string]string{"n": "\xff"}}, `header "n": invalid UTF-8 at byte 1`},
		{Event{Topic: "t", Headers: map[string]string{"n\x00": ""}}, `header "n\x00": NUL at byte 2`},
		{
			Event{Topic: "t", DedupKey: strings.Repeat("k", 1001)},
			"dedup key has 1001 bytes, more than 1000: emit a hash of it",
		},
		{Event{Topic: "t", DedupKey: "k", DedupWindow: -1}, "dedup window -1ns is negative"},
		{
			Event{Topic: "t", DedupKey: "k", DedupWindow: 30*24*time.Hour + 1},
			"dedup window 720h0m0.000000001s is more than 30 days",
		},
		{Event{Topic: strings.Repeat("t", 1001)}, "topic has 1001 bytes, more than 1000"},
		{Event{Topic: "t", DedupWindow: 1}, "dedup window 1ns without a dedup key"},
	} {
		_, err := Producer{}.Emit(t.Context(), tx, test.event)
		if err == nil || err.Error() != "emit event: "+test.want {
			t.Errorf("Emit: got %v, want %s", err, test.want)
		}
		err = Producer{}.EmitAll(t.Context(), tx, []Event{{Topic: "t"}, test.event})
		if err == nil || err.Error() != "emit events: event 2 of 2: "+test.want {
			t.Errorf("EmitAll: got %v, want %s", err, test.want)
		}
	}
	if err := (Producer{}).EmitAll(t.Context(), tx, []Event{{Topic: "t", DedupKey: "k"}}); err == nil {
		t.Error("EmitAll took a dedup key")
	}
	if _, err := (Producer{Schema: "a; b"}).Emit(t.Context(), tx, Event{Topic: "t"}); err == nil {
		t.Error("took a schema name that is none")
	}
	newEvent(t, tx, Event{Topic: "t", DedupKey: strings.Repeat("k", 1000)})
}

func TestEmitSQLRefusesWrongHeaders(t *testing.T) {
	pool := jobstest.Pool(t)
	for _, sql := range []string{
		`select pgsolo.emit('t', headers => '[1]')`,
		`insert into pgsolo.event (topic, headers) values ('t', '"x"')`,
	} {
		_, err := pool.Exec(t.Context(), sql)
		if pgErr, ok := errors.AsType[*pgconn.PgError](err); !ok || pgErr.ConstraintName != "event_headers_check" {
			t.Errorf("%s: %v, want it refused", sql, err)
		}
	}
	id := pgtest.Value[int64](t, pool, `select pgsolo.emit('t', payload => null, headers => null)`)
	got := pgtest.Value[string](t, pool,
		`select payload::text || ' ' || headers::text from pgsolo.event where id = $1`, id)
	if got != "null {}" {
		t.Errorf("null and null are stored as %s, want null {}", got)
	}
}

// What the check lets through, the server takes, and the other way round.
func FuzzEmitCheckAgreesWithTheServer(f *testing.F) {
	for _, seed := range []string{
		``, `null`, `{"a": [1, -0.5e3, "x\u00e9\/"]}`, `"\u0000"`, `"\\u0000"`, `"\ud83d\ude00"`, `"\ud83d"`,
		`"\ude00"`, `"\ud83d\ud83d"`, `"\ud83dx\ude00"`, "\"\xff\"", "\"\x00\"", "\"\x1f\"", "\"\x7f\"", `01`, `1.`,
		`[1,]`, `{"a":1,"a":2}`, "\v1", "\ufeff1", `"\x"`, `"\uFFFD"`, `"\uDBFF\uDFFF"`,
		strings.Repeat("[", 6000) + strings.Repeat("]", 6000),
	} {
		f.Add([]byte(seed))
	}
	pool := jobstest.Pool(f)
	f.Fuzz(func(t *testing.T, payload []byte) {
		var kept string
		server := pool.QueryRow(t.Context(), `select $1::text::jsonb::text`, string(payload)).Scan(&kept)
		if pgErr, ok := errors.AsType[*pgconn.PgError](server); ok && pgErr.Code == "22003" {
			return // a number beyond numeric
		}
		if err := checkJSON(payload); (err == nil) != (server == nil) {
			t.Errorf("%q: the check says %v, the server %v", payload, err, server)
		}
	})
}
