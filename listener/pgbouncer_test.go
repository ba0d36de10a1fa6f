package listener

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A pooler that shares sessions is named, however many others use it and however small its pool is, and ends Run at
// once.
func TestPoolerThatSharesSessions(t *testing.T) {
	for name, settings := range map[string][]string{
		"transaction mode":                {"pool_mode = transaction"},
		"statement mode":                  {"pool_mode = statement"},
		"transaction mode, one session":   {"pool_mode = transaction", "default_pool_size = 1"},
		"transaction mode, reset as well": {"pool_mode = transaction", "server_reset_query_always = 1"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.through(pool(t, b, settings...))
			b.options.Patience = time.Hour
			called := make(chan error, 2)
			b.options.Unhealthy = func(err error) { called <- err }
			l := b.wanted()
			ended, _ := b.run(l)
			err := pgtest.Within(t, "the end", ended)
			if !errors.Is(err, ErrPooler) || !strings.Contains(err.Error(), "connect to PostgreSQL directly") {
				t.Errorf("Run returned %v", err)
			}
			if len(called) != 1 || !errors.Is(<-called, ErrPooler) {
				t.Errorf("unhealthy was called %d times", len(called))
			}
			if stats := l.Stats(); stats.Connected || b.log.count("session established") != 0 {
				t.Errorf("it has listened: %+v\n%s", stats, b.log)
			}
		})
	}
}

// Nothing is set in a session that other clients of the pooler share: whenever the listener sends a statement, and
// after it has given up, such a client finds what it found before.
func TestPoolerThatSharesSessionsIsLeftAsItWas(t *testing.T) {
	t.Parallel()
	const readSettings = `select coalesce(string_agg(name || ' = ' || setting, ', ' order by name), '') from pg_settings
		where source = 'session' and name not in ('application_name', 'client_encoding', 'DateStyle', 'TimeZone')`
	b := setup(t)
	b.through(pool(t, b, "pool_mode = transaction", "default_pool_size = 1"))
	config := b.options.Config.Copy()
	config.DefaultQueryExecMode = pgx.QueryExecModeSimpleProtocol
	other := b.connect(config)
	settings := func() (text string) {
		if err := other.QueryRow(context.Background(), readSettings).Scan(&text); err != nil {
			t.Error(err)
		}
		return text
	}
	before := settings()

	// in turn with the listener, which waits for the answer to each
	newProxy(b).alter(func(_ *link, m packet) []packet {
		if m.query() != "" {
			if diff := cmp.Diff(before, settings()); diff != "" {
				t.Errorf("when %q is sent (-before +now):\n%s", m.query(), diff)
			}
		}
		return pass(m)
	})
	ended, _ := b.run(b.wanted())
	if err := pgtest.Within(t, "the end", ended); !errors.Is(err, ErrPooler) {
		t.Errorf("Run returned %v", err)
	}
	if diff := cmp.Diff(before, settings()); diff != "" {
		t.Errorf("at the end (-before +now):\n%s", diff)
	}
}

// In session mode the pooler gives a session to one client at a time, which may LISTEN.
func TestPoolerInSessionMode(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.through(pool(t, b, "pool_mode = session", "default_pool_size = 2"))
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	b.options.ProbeInterval = calm
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	b.notify("c", "first")
	if got := receive(t, s); got != "first" {
		t.Errorf("received %q", got)
	}
	probed := l.Stats().ProbeRoundTrip
	pgtest.Eventually(t, "another probe", func() bool { return l.Stats().ProbeRoundTrip != probed })
	for range 2 {
		before := l.Stats().Reconnects
		b.terminate()
		pgtest.Eventually(t, "a reconnect", func() bool { return l.Stats().Reconnects > before })
		pgtest.Within(t, "missed", s.Missed())
		b.receives(s, "again")
	}
	if stats := l.Stats(); stats.Reconnects < 2 {
		t.Errorf("stats are %+v", stats)
	}
}

// through leads the listener to another place than the test's own connection.
func (b *bench) through(database string) {
	b.t.Helper()
	config, err := pgx.ParseConfig(database)
	if err != nil {
		b.t.Fatal(err)
	}
	b.options.Config = config
}
