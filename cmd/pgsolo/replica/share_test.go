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
		handlers, transactions, elections, sessions int // handlers and transactions of each election
		statements                                  bool
		want                                        shares
	}{
		{1, 0, 1, 20, false, shares{pool: 4}},
		{100, 0, 1, 20, false, shares{pool: 16}},
		{100, 100, 1, 20, false, shares{pool: 17}},
		{100, 100, 1, 20, true, shares{pool: 12, statements: 5}},
		{100, 100, 1, 5, true, shares{pool: 2, statements: 1}},
		{100, 100, 1, 200, true, shares{pool: 116, statements: 16}},
		{2, 0, 10, 20, true, shares{pool: 6, statements: 2}},
		{2, 0, 10, 10, true, shares{pool: 2, statements: 1}}, // 15 in all: it has to do something
		{2, 0, 2, 40, true, shares{pool: 12, statements: 12}},
	} {
		of := &config.Config{}
		for range test.elections {
			e := &config.Election{Handlers: make([]config.Handler, test.handlers), NeedsSessions: test.statements}
			for n := range test.transactions {
				e.Handlers[n].InTransaction, e.Handlers[n].Concurrency = true, 1
			}
			of.Elections = append(of.Elections, e)
		}
		if got := newShares(of, test.sessions); got != test.want {
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
	if want := pgtest.Value[int](t, conn, `select current_setting('max_connections')::int / 5`); most > want {
		t.Errorf("up to %d sessions, want %d at most", most, want)
	}
	t.Logf("up to %d sessions", most)
}
