package replica

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestShareOfTheSessions(t *testing.T) {
	for _, test := range []struct {
		handlers, transactions, elections, sessions int
		statements                                  bool
		want                                        share
	}{
		{1, 0, 1, 20, false, share{pool: 4}},
		{100, 0, 1, 20, false, share{pool: 16}},
		{100, 100, 1, 20, false, share{pool: 17}},
		{100, 100, 1, 20, true, share{pool: 12, statements: 5}},
		{100, 100, 1, 5, true, share{pool: 2, statements: 1}},
		{100, 100, 1, 200, true, share{pool: 116, statements: 16}},
		{2, 0, 10, 20, true, share{pool: 2, statements: 1}}, // more than 20 in all: each election has to do something
		{2, 0, 2, 40, true, share{pool: 6, statements: 5}},
	} {
		of := &config.Election{Handlers: make([]config.Handler, test.handlers), NeedsSessions: test.statements}
		for n := range test.transactions {
			of.Handlers[n].InTransaction, of.Handlers[n].Concurrency = true, 1
		}
		if got := newShare(of, test.elections, test.sessions); got != test.want {
			t.Errorf("%+v: %+v", test, got)
		}
	}
}

// A hundred handlers of transactions do not take all sessions of the server.
func TestManyHandlersHaveFewSessions(t *testing.T) {
	const handlers = 100
	url := pgtest.Database(t)
	var src strings.Builder
	src.WriteString(`
		postgres { url = env("DATABASE_URL") }
		http { listen = "127.0.0.1:0" }
		election "main" { lease = "30s" }
		topic "t" {}`)
	for n := range handlers {
		fmt.Fprintf(&src, `
		handler "h%d" {
			topic = "t"
			sql { statement = "select pg_sleep(0.02)" }
		}`, n)
	}
	setup(t, url, src.String())
	conn := pgtest.Connect(t, url)
	most := 0
	done := func(want string) func() bool {
		return func() bool {
			most = max(most, pgtest.Value[int](t, conn, `select count(*) from pg_stat_activity
				where datname = current_database() and application_name like 'pgsolo%'`))
			return pgtest.Value[int](t, conn, `select count(*) from pgsolo.cursor where `+want) == handlers
		}
	}
	pgtest.Eventually(t, "the claims", done("configured"))
	if _, err := conn.Exec(t.Context(), `insert into pgsolo.event (topic) values ('t'), ('t'), ('t')`); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "the events", done("done @> 3::bigint"))
	if most > 20 {
		t.Errorf("up to %d sessions, want 20 at most", most)
	}
	t.Logf("up to %d sessions", most)
}
