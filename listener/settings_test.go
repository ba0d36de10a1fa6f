package listener

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
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
			b.exec(`do $$ begin execute format('alter database %I set ` + strings.ReplaceAll(setting, "'", "''") + `', current_database()); end $$`)
			b.options.ProbeInterval = time.Second
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
			eventually(t, "the new name", func() bool {
				return value[bool](t, b.conn, `select exists (select from pg_stat_activity where application_name = $1)`, `a\'b`)
			})
			if stats := l.Stats(); stats.Reconnects != 0 {
				t.Errorf("the session was lost: %+v\n%s", stats, b.log)
			}
		})
	}
}

// The session has whatever name it is given, as far as PostgreSQL can hold it, and no name ends it or runs as a statement.
func TestRename(t *testing.T) {
	b := setup(t)
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	var name atomic.Value
	name.Store("the listener")
	b.options.SessionName = func() string { return name.Load().(string) }
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	pid := value[int](t, b.conn, `select pid from pg_stat_activity where application_name = 'the listener' and datname = current_database()`)
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
		eventually(t, "the name "+to, func() bool {
			now := value[string](t, b.conn, `select coalesce(max(application_name), 'gone') from pg_stat_activity where pid = $1`, pid)
			return strings.HasPrefix(now, want) && (want != "" || now == "")
		})
		b.notify("c", to[:min(3, len(to))])
		receive(t, s)
	}
	if stats := l.Stats(); stats.Reconnects != 0 {
		t.Errorf("the session was lost: %+v\n%s", stats, b.log)
	}
}

// Names and payloads are UTF-8 for the caller, whatever the encoding of the database, as far as that has the characters.
func TestEncodings(t *testing.T) {
	for _, encoding := range []string{"LATIN1", "SQL_ASCII"} {
		t.Run(encoding, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			name := b.options.Config.Database + strings.ToLower(encoding)
			b.exec(`create database ` + pgx.Identifier{name}.Sanitize() + ` encoding '` + encoding + `' locale 'C' template template0`)
			t.Cleanup(func() { b.exec(`drop database ` + pgx.Identifier{name}.Sanitize() + ` with (force)`) })
			there := &bench{t: t, options: b.options, log: b.log}
			there.options.Config.Database = name
			there.options.ProbeInterval = time.Second
			there.conn = there.connect(there.options.Config)
			l := there.listener()
			_, stop := there.run(l)
			s := there.established(l, "ünïcödé")
			there.awaitProbes(l, 1)
			there.exec(`set client_encoding = 'UTF8'`)
			there.notify("ünïcödé", "é")
			if got := receive(t, s); got != "é" {
				t.Errorf("received %q", got)
			}
			if stats := l.Stats(); stats.Reconnects != 0 {
				t.Errorf("the session was lost: %+v\n%s", stats, b.log)
			}
			stop()
		})
	}
}
