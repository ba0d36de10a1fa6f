package listener

import (
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// What a database or a role may set does not end the session, delay it, or change what its statements mean.
func TestSettingsOfTheDatabase(t *testing.T) {
	for name, setting := range map[string]string{
		"idle sessions end":        `idle_session_timeout = '100ms'`,
		"statements time out":      `statement_timeout = '100ms'`,
		"read only":                `default_transaction_read_only = on`,
		"serializable":             `default_transaction_isolation = 'serializable'`,
		"another client encoding":  `client_encoding = 'LATIN1'`,
		"no schema":                `search_path = ''`,
		"backslashes that escape":  `standard_conforming_strings = off`,
		"commits that do not wait": `synchronous_commit = off`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.exec(`do $$ begin execute format('alter database %I set ` +
				strings.ReplaceAll(setting, "'", "''") + `', current_database()); end $$`)
			b.options.ProbeInterval = calm
			b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
			var session atomic.Value
			session.Store("the listener")
			b.options.SessionName = func() string { return session.Load().(string) }
			l := b.listener()
			b.run(l)
			s := b.established(l, `"é\`)
			b.awaitProbes(l, 1)
			b.notify(`"é\`, `🐘\`)
			if got := receive(t, s); got != `🐘\` {
				t.Errorf("received %q", got)
			}
			session.Store(`a\'b`)
			l.Rename()
			pgtest.Eventually(t, "the new name", func() bool {
				return pgtest.Value[bool](t, b.conn,
					`select exists (select from pg_stat_activity where application_name = $1)`, `a\'b`)
			})
			if stats := l.Stats(); stats.Reconnects != 0 {
				t.Errorf("the session was lost: %+v\n%s", stats, b.log)
			}
		})
	}
}

// The session has whatever name it is given, as far as PostgreSQL can hold it, and no name ends it or runs as a
// statement.
func TestRename(t *testing.T) {
	b := setup(t)
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	var name atomic.Value
	name.Store("the listener")
	b.options.SessionName = func() string { return name.Load().(string) }
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	pid := pgtest.Value[int](t, b.conn,
		`select pid from pg_stat_activity where application_name = 'the listener' and datname = current_database()`)
	for to, want := range map[string]string{
		"plain":                   "plain",
		"":                        "",
		"it's":                    "it's",
		"'; unlisten *; --":       "'; unlisten *; --",
		`back\slash'`:             `back\slash'`,
		strings.Repeat("n", 100):  strings.Repeat("n", 63),
		"nul\x00and what follows": "nul",
		"invalid \xff.":           "invalid",
		"two\nlines":              "two?lines",
		"not ASCII: é":            "not ASCII: ?",
	} {
		name.Store(to)
		l.Rename()
		pgtest.Eventually(t, "the name "+to, func() bool {
			now := pgtest.Value[string](t, b.conn,
				`select coalesce(max(application_name), 'gone') from pg_stat_activity where pid = $1`, pid)
			return strings.HasPrefix(now, want) && (want != "" || now == "")
		})
		b.notify("c", to[:min(3, len(to))])
		receive(t, s)
	}
	if stats := l.Stats(); stats.Reconnects != 0 {
		t.Errorf("the session was lost: %+v\n%s", stats, b.log)
	}
}

// A name of the session that is too long for the server costs no channel, and is not sent over and over.
func TestLongSessionName(t *testing.T) {
	b := setup(t)
	p := newProxy(b)
	var named atomic.Int64
	p.alter(func(_ *link, m packet) []packet {
		if strings.Contains(m.query(), "set application_name") {
			named.Add(1)
		}
		return pass(m)
	})
	b.options.SessionName = func() string { return strings.Repeat("n", 100) }
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	before := named.Load()
	l.Rename()
	pgtest.Eventually(t, "the name is sent again", func() bool { return named.Load() > before })
	late := b.established(l, "late")
	for _, s := range []*Subscription{s, late} {
		b.notify(s.channel, "x")
		receive(t, s)
	}
	if n := named.Load(); n > before+2 {
		t.Errorf("the name was sent %d times", n)
	}
	if stats := l.Stats(); stats.Channels != 2 || stats.Reconnects != 0 {
		t.Errorf("stats are %+v:\n%s", stats, b.log)
	}
}

// Should the server cut the name of the session nevertheless, no channel is taken for the cause: the session is
// replaced.
func TestCutSessionName(t *testing.T) {
	b := setup(t)
	p := newProxy(b)
	b.options.SessionName = func() string { return "short" }
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	var once sync.Once
	p.alter(func(_ *link, m packet) []packet {
		if m.query() == "set application_name = 'short'; " {
			once.Do(func() { m = queryPacket("set application_name = '" + strings.Repeat("n", 100) + "'") })
		}
		return pass(m)
	})
	l.Rename()
	pgtest.Within(t, "missed", s.Missed())
	b.notify("c", "x")
	receive(t, s)
	if stats := l.Stats(); stats.Channels != 1 || stats.Reconnects != 1 {
		t.Errorf("stats are %+v:\n%s", stats, b.log)
	}
}
