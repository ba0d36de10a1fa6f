package listener

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// setupEncoding is setup on a database of the encoding.
func setupEncoding(t *testing.T, encoding string) *bench {
	t.Helper()
	b := setup(t)
	name := b.options.Config.Database + strings.ToLower(encoding)
	b.exec(`create database ` + pgx.Identifier{name}.Sanitize() +
		` encoding '` + encoding + `' locale 'C' template template0`)
	t.Cleanup(func() { b.exec(`drop database ` + pgx.Identifier{name}.Sanitize() + ` with (force)`) })
	there := &bench{t: t, options: b.options, log: b.log}
	there.options.Config.Database = name
	there.options.ProbeInterval = calm
	there.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	config := there.options.Config.Copy()
	config.RuntimeParams["application_name"] = "the test"
	there.conn = there.connect(config)
	there.exec(`set client_encoding = 'UTF8'`)
	return there
}

// Names and payloads are UTF-8 for the caller, whatever the encoding of the database, as far as that has the
// characters.
func TestEncodings(t *testing.T) {
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			b := setupEncoding(t, encoding)
			l := b.listener()
			b.run(l)
			s := b.established(l, "ünïcödé")
			b.awaitProbes(l, 1)
			b.notify("ünïcödé", "é")
			if got := receive(t, s); got != "é" {
				t.Errorf("received %q", got)
			}
			if stats := l.Stats(); stats.Reconnects != 0 {
				t.Errorf("the session was lost: %+v\n%s", stats, b.log)
			}
		})
	}
}

// A name that the database does not take ends its own subscriptions, and is logged once. Every other LISTEN is in
// force, whether it was sent with that of the name, before or after, and remains so; a new session is not asked for the
// name again.
func TestNameThatTheDatabaseDoesNotTake(t *testing.T) {
	for what, test := range map[string]struct{ encoding, name, code string }{
		"a character that it lacks":      {"LATIN1", "🐘", untranslatable},
		"more bytes than it has for one": {"EUC_JP", strings.Repeat("é", 31), nameTooLong},
	} {
		for _, early := range []bool{true, false} {
			t.Run(fmt.Sprintf("%s, before Run: %t", what, early), func(t *testing.T) {
				t.Parallel()
				b := setupEncoding(t, test.encoding)
				l := b.listener()
				if !early {
					b.run(l)
					b.established(l, "first")
				}
				var good, bad []*Subscription
				for i := range 10 {
					good = append(good, b.subscribe(l, fmt.Sprint("c", i)))
				}
				for range 2 {
					bad = append(bad, b.subscribe(l, test.name))
				}
				for i := range 10 {
					good = append(good, b.subscribe(l, fmt.Sprint("d", i)))
				}
				if early {
					b.run(l)
				}
				for _, s := range bad {
					pgtest.Within(t, "established at the end", s.Established())
					select {
					case _, open := <-s.Messages():
						if open {
							t.Error("a message under a name that the database does not take")
						}
					case <-time.After(pgtest.Patience):
						t.Error("the messages are not closed")
					}
					s.Close() // harmless
				}
				good = append(good, b.established(l, "last"))
				b.wantAllDelivered(l, good)
				b.awaitProbes(l, 2) // which hold the channels of the session against those asked for
				if stats := l.Stats(); stats.Reconnects != 0 {
					t.Errorf("the session was lost: %+v\n%s", stats, b.log)
				}
				b.terminate()
				for _, s := range good {
					pgtest.Within(t, s.channel, s.Missed())
				}
				b.wantAllDelivered(l, good)
				if n := b.log.count("the server takes no such channel"); n != 1 || b.log.count(test.code) != 1 {
					t.Errorf("%d lines about the name:\n%s", n, b.log)
				}
			})
		}
	}
}

// wantAllDelivered checks that LISTEN is in force for each of the subscriptions, whose channels differ, and that it
// delivers.
func (b *bench) wantAllDelivered(l *Listener, all []*Subscription) {
	b.t.Helper()
	for i, s := range all {
		pgtest.Within(b.t, s.channel, s.Established())
		b.notify(s.channel, fmt.Sprint(i))
		if got := receive(b.t, s); got != fmt.Sprint(i) {
			b.t.Errorf("channel %q: received %q", s.channel, got)
		}
	}
}

// A database without encoding has payloads that are no UTF-8. They arrive as they are, and do not cost the session.
func TestPayloadThatIsNoUTF8(t *testing.T) {
	t.Parallel()
	b := setupEncoding(t, "SQL_ASCII")
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	for round := range uint64(2) { // the second after a reconnect
		for _, payload := range []string{`E'caf\xe9'`, `E'\xff\xfe'`, `'after'`} {
			b.exec(`set client_encoding = 'SQL_ASCII'; notify c, ` + payload)
		}
		for _, want := range []string{"caf\xe9", "\xff\xfe", "after"} {
			if got := receive(t, s); got != want {
				t.Errorf("received %q, want %q", got, want)
			}
		}
		if stats := l.Stats(); stats.Reconnects != round {
			t.Errorf("the session was lost: %+v\n%s", stats, b.log)
		}
		if round == 0 {
			b.terminate()
			pgtest.Within(t, "missed", s.Missed())
		}
	}
}
