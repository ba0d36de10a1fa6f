package replica

import (
	"fmt"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
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

// Long statements of one election leave a session to the other one, whose steps are not held up by rows of the first
// that somebody has locked.
func TestElectionsLeaveSessionsToEachOther(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := connect(t, url, `create table handled (id bigint)`)
	setup(t, url, `
		postgres {
			url          = env("DATABASE_URL")
			max_sessions = 12
		}
		election "slow" {}
		election "quick" {}
		topic "slow" {}
		topic "quick" {}
		handler "slow" {
			topic       = "slow"
			election    = "slow"
			concurrency = 8
			sql {
				statement = "select pg_sleep(61)"
			}
		}
		handler "locked" {
			topic    = "slow"
			election = "slow"
			webhook { url = "http://127.0.0.1:1" }
		}
		handler "quick" {
			topic    = "quick"
			election = "quick"
			sql {
				statement = "insert into handled values ($1)"
				args      = [event.id]
			}
		}`)
	pgtest.Eventually(t, "both cursors", func() bool {
		return pgtest.Value[int](t, conn, `select count(*) from pgsolo.cursor`) == 3
	})
	tx, err := pgtest.Connect(t, url).Begin(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	jobstest.MustExec(t, tx, `select from pgsolo.cursor where handler = 'locked' for update`)
	jobstest.MustExec(t, conn, `insert into pgsolo.event (topic) select 'slow' from generate_series(1, 8)`)
	const long = `select count(*) from pg_stat_activity
		where state = 'active' and datname = current_database() and query = 'select pg_sleep(61)'`
	pgtest.Eventually(t, "the statements", func() bool { return pgtest.Value[int](t, conn, long) >= 3 })
	for n := range 3 {
		jobstest.MustExec(t, conn, `insert into pgsolo.event (topic) values ('quick')`)
		pgtest.Eventually(t, "the other election's event", func() bool {
			return pgtest.Value[int](t, conn, `select count(*) from handled`) == n+1
		})
	}
}
