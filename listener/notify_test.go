package listener

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// What Notify sends arrives as it is, up to the longest payload that PostgreSQL takes. One more byte Notify refuses
// with the size and the remedy, and PostgreSQL refuses it as well: the limit is neither too high nor too low.
func TestNotifyPayloads(t *testing.T) {
	b := setup(t)
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	for _, payload := range []string{
		"", "x", strings.Repeat("y", 7999), strings.Repeat("é", 3999) + "z", "🐘", `{"a": 1}`, "'; drop table x; --",
		"\\", "same", "same",
	} {
		if err := Notify(t.Context(), b.conn, "c", payload); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, s); got != payload {
			t.Errorf("received %d bytes, want %d: %.20q", len(got), len(payload), got)
		}
	}

	long := strings.Repeat("z", 8000)
	err := Notify(t.Context(), b.conn, "c", long)
	if !errors.Is(err, ErrPayloadTooLong) {
		t.Errorf("8,000 bytes: %v", err)
	}
	for _, part := range []string{`"c"`, "8000 bytes", "at most 7999", "write an event to a topic"} {
		if err == nil || !strings.Contains(err.Error(), part) {
			t.Errorf("8,000 bytes: the error does not say %q: %v", part, err)
		}
	}
	if _, err := b.conn.Exec(t.Context(), `select pg_notify('c', $1)`, long); err == nil {
		t.Error("PostgreSQL takes 8,000 bytes; then MaxPayload is too low")
	}
	for _, payload := range []string{"a\x00b", "\xff"} {
		err := Notify(t.Context(), b.conn, "c", payload)
		if err == nil || !strings.Contains(err.Error(), "UTF-8") || !strings.Contains(err.Error(), "base64") {
			t.Errorf("payload %q: %v", payload, err)
		}
	}
	if received := l.Stats().Received; received != 10 {
		t.Errorf("received %d notifications, want 10", received)
	}
}

// What Notify refuses leaves the caller's transaction as it was. What it takes is sent with the commit, and never
// without.
func TestNotifyInTransaction(t *testing.T) {
	b := setup(t)
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	transaction := func(end func(pgx.Tx, context.Context) error, payloads ...string) {
		t.Helper()
		tx, err := b.conn.Begin(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for _, payload := range payloads {
			if err := Notify(t.Context(), tx, "c", payload); err != nil && len(payload) < 8000 {
				t.Fatal(err)
			}
		}
		if err := Notify(t.Context(), tx, strings.Repeat("n", 64), ""); err == nil {
			t.Error("a name of 64 bytes is taken")
		}
		if err := end(tx, t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	transaction(pgx.Tx.Rollback, "rolled back")
	// the second "one" is folded by PostgreSQL
	transaction(pgx.Tx.Commit, "one", strings.Repeat("z", 8000), "two", "one")
	transaction(pgx.Tx.Commit, "one") // another transaction, another message
	for _, want := range []string{"one", "two", "one"} {
		if got := receive(t, s); got != want {
			t.Errorf("received %q, want %q", got, want)
		}
	}
	if received := l.Stats().Received; received != 3 {
		t.Errorf("received %d notifications, want 3", received)
	}
}

func TestNotifyNamesWhatFailed(t *testing.T) {
	b := setup(t)
	if err := b.conn.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := Notify(t.Context(), b.conn, "c", "x"); err == nil ||
		!strings.Contains(err.Error(), `notify channel "c": `) {
		t.Errorf("on a closed connection: %v", err)
	}
	refused := refusing{&pgconn.PgError{Code: "54000", Message: "too many notifications in the NOTIFY queue"}}
	if err := Notify(t.Context(), refused, "c", "x"); !errors.Is(err, refused.err) {
		t.Errorf("refused by the server: %v", err)
	}
}

type refusing struct{ err *pgconn.PgError }

func (r refusing) Exec(context.Context, string, ...any) (pgconn.CommandTag, error) {
	return pgconn.CommandTag{}, r.err
}

var oddNames = []string{
	"lower", "UPPER", "MixedCase", "with space", ` `, `"`, `""`, `a"; unlisten *; --`, `it's`, `back\slash`,
	"new\nline", "\r", "\t", "\x01",
	"select", "*", "a.b", "$1", "%s", "ünïcödé", "🐘", "👩‍👩‍👧‍👦",
	"\u200b", "e\u0301", "é", "ı", "İ", "￿",
	strings.Repeat("x", 63), strings.Repeat("é", 31) + "x",
	strings.Repeat("🐘", 15) + "abc", strings.Repeat(`"`, 63),
}

// Names are taken as they are, by Subscribe and Notify alike; what PostgreSQL would cut or refuse is refused by both.
func TestChannelNames(t *testing.T) {
	b := setup(t)
	l := b.listener()
	b.run(l)
	all := map[string]*Subscription{}
	for _, name := range oddNames {
		all[name] = b.established(l, name)
	}
	for _, name := range oddNames { // now that all of them are there, each has its own
		if err := Notify(t.Context(), b.conn, name, name); err != nil {
			t.Fatal(err)
		}
		if got := receive(t, all[name]); got != name {
			t.Errorf("channel %q: received %q", name, got)
		}
	}
	if stats := l.Stats(); stats.Received != uint64(len(oddNames)) || stats.Channels != len(oddNames) ||
		stats.Reconnects != 0 {
		t.Errorf("stats are %+v for %d channels", stats, len(oddNames))
	}
	for name, want := range map[string]string{
		"":                      "empty",
		strings.Repeat("y", 64): "64 bytes",
		strings.Repeat("é", 32): "64 bytes",
		"a\x00b":                "zero bytes",
		"\xff":                  "UTF-8",
		"\xed\xa0\x80":          "UTF-8",
	} {
		_, err := l.Subscribe(name)
		for what, err := range map[string]error{"subscribe": err, "notify": Notify(t.Context(), b.conn, name, "x")} {
			if err == nil || !strings.Contains(err.Error(), want) || !strings.HasPrefix(err.Error(), what) ||
				!strings.Contains(err.Error(), fmt.Sprintf("%q", name)) {
				t.Errorf("%s, channel %q: the error is %v", what, name, err)
			}
		}
	}
}

// FuzzChannelName subscribes and notifies under any name that is not refused, on a real server.
func FuzzChannelName(f *testing.F) {
	for _, name := range append([]string{"", "\x00", "\xff", strings.Repeat("y", 64)}, oddNames...) {
		f.Add(name)
	}
	b := setup(f)
	l := b.listener()
	b.run(l)
	f.Fuzz(func(t *testing.T, name string) {
		s, err := l.Subscribe(name)
		refused := Notify(t.Context(), b.conn, name, name)
		if err != nil || refused != nil {
			if (err == nil) != (refused == nil) {
				t.Fatalf("channel %q: subscribe says %v, notify says %v", name, err, refused)
			}
			return
		}
		defer s.Close()
		pgtest.Within(t, "established", s.Established())
		if err := Notify(t.Context(), b.conn, name, "after"); err != nil {
			t.Fatal(err)
		}
		for receive(t, s) != "after" { // the first may have come, too
		}
		if reconnects := l.Stats().Reconnects; reconnects != 0 {
			t.Fatalf("channel %q: the session was lost", name)
		}
	})
}
