package replica

import (
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// connect opens a session on the database, in which it makes the tables.
func connect(t *testing.T, url, tables string) *pgx.Conn {
	t.Helper()
	conn := pgtest.Connect(t, url)
	if _, err := conn.Exec(t.Context(), tables); err != nil {
		t.Fatal(err)
	}
	return conn
}

const forStatements = `
	postgres {
		url          = env("DATABASE_URL")
		max_sessions = 60
	}
	http { listen = "127.0.0.1:0" }
	election "main" {
		lease = "30s"
		drain = "0s"
	}
`

// Statements of cron jobs get their parameters, run in sessions of the leader's that are as good as new, and leave
// their tags.
func TestStatementsOfCronJobs(t *testing.T) {
	url := pgtest.Database(t)
	conn := connect(t, url, `
		create table ran (job text, at timestamptz, attempt int, key text, manual boolean, session text,
			work_mem text, other jsonb);
		create table session (expires_at timestamptz);
		insert into session select now() - make_interval(days => n) from generate_series(0, 20) as n`)
	setup(t, url, forStatements+`
		cron "note" {
			schedule = "* * * * * *"
			sql {
				statement = <<-SQL
					insert into ran
					select $1, $2, $3, $4, $5, current_setting('application_name'), found, $6
					from current_setting('work_mem') as found,
						set_config('work_mem', '1234kB' || left(found, 0), false), pg_advisory_lock(1)
				SQL
				args = [
					run.job, run.scheduled_at, run.attempt, run.idempotency_key, run.manual,
					{ term = run.term, list = [run.catch_up, null] },
				]
			}
		}
		cron "purge" {
			schedule = "* * * * * *"
			sql {
				statement = "delete from session where expires_at < $1::timestamptz - interval '3 days 12 hours'"
				args      = [run.scheduled_at]
			}
		}
		cron "vacuum" {
			schedule = "* * * * * *"
			sql {
				statement = "vacuum session"
			}
		}
		cron "late" {
			schedule = "* * * * * *"
			timeout  = "3s" # which is enough for a new session
			overlap  = "skip"
			sql {
				statement = "select pg_sleep(60)"
			}
		}`)
	pgtest.Eventually(t, "runs", func() bool {
		return pgtest.Value[int](t, conn, `select count(*) from ran`) >= 3 &&
			pgtest.Value[int](t, conn, `select count(distinct job) from pgsolo.cron_run
				where outcome in ('ok', 'failed')`) == 4
	})
	if n := pgtest.Value[int](t, conn, `
		select count(*) from ran r join pgsolo.cron_run c on c.job = r.job and c.scheduled_at = r.at
		where r.attempt = 1 and not r.manual and r.key like 'note/20%'
			and r.session like 'pgsolo %term ' || (r.other ->> 'term') || '%'
			and r.other -> 'list' = jsonb_build_array(c.cause = 'catch_up', null)`); n < 3 {
		t.Errorf("only %d runs as expected: %s", n,
			pgtest.Value[string](t, conn, `select jsonb_agg(ran)::text from ran`))
	}
	if n := pgtest.Value[int](t, conn, `select count(*) from ran where work_mem = '1234kB'`); n != 0 {
		t.Errorf("%d runs found a setting of an earlier one", n)
	}
	pgtest.Eventually(t, "a moment without its lock", func() bool {
		return pgtest.Value[int](t, conn, `select count(*) from pg_locks
			where locktype = 'advisory' and objid = 1 and classid = 0
			and database = (select oid from pg_database where datname = current_database())`) == 0
	})
	const first = `select concat_ws(' ', job, outcome, output, error) from pgsolo.cron_run
		where finished_at is not null and job = $1 order by scheduled_at limit 1`
	for job, want := range map[string]string{
		"note":   "note ok INSERT 0 1\n",
		"purge":  "purge ok DELETE 17\n",
		"vacuum": "vacuum ok VACUUM\n",
		"late":   "late failed not done within its timeout of 3s: run statement: cancelled: ",
	} {
		if got := pgtest.Value[string](t, conn, first, job); !strings.HasPrefix(got, want) {
			t.Errorf("%q, want %q", got, want)
		}
	}
	pgtest.Eventually(t, "a moment without the late statement", func() bool {
		return pgtest.Value[int](t, conn, `select count(*) from pg_stat_activity
			where query like '%pg_sleep(60)' and state = 'active' and pid <> pg_backend_pid()`) == 0
	})
}

// A statement for an event of a topic happens once, over failed attempts; one for a channel runs by itself.
func TestStatementsOfHandlers(t *testing.T) {
	url := pgtest.Database(t)
	conn := connect(t, url, `
		create table total (id int, amount numeric, attempt int);
		create table heard (payload text, in_transaction_of bigint);
		create sequence attempts;
		create function fails(n int) returns int language plpgsql volatile as
			$$ begin if nextval('attempts') <= n then raise exception 'not yet'; end if; return 1; end $$`)
	setup(t, url, forStatements+`
		topic "orders" {}
		handler "totals" {
			topic       = "orders"
			concurrency = 4
			retry {
				backoff = "1ms"
			}
			sql {
				statement = "insert into total select $1, $2, $3 where fails(5) = 1"
				args      = [event.payload.id, event.payload.amount, event.attempt]
			}
		}
		handler "heard" {
			channel = "news"
			sql {
				statement = "insert into heard values ($1)"
				args      = [event.payload]
			}
		}`)
	pgtest.Eventually(t, "the topic", func() bool {
		_, err := conn.Exec(t.Context(), `insert into pgsolo.event (topic, payload)
			select 'orders', jsonb_build_object('id', n, 'amount', n + 0.5) from generate_series(1, 20) as n`)
		return err == nil
	})
	pgtest.Eventually(t, "20 totals", func() bool {
		return pgtest.Value[int](t, conn, `select count(*) from total`) >= 20 &&
			pgtest.Value[int](t, conn, `select count(*) from pgsolo.delivery`) == 0
	})
	right := pgtest.Value[int](t, conn, `select count(distinct id) from total where amount = id + 0.5`)
	if rows := pgtest.Value[int](t, conn, `select count(*) from total`); right != 20 || rows != 20 {
		t.Errorf("%d of 20 events, %d rows", right, rows)
	}
	if n := pgtest.Value[int](t, conn, `select max(attempt) from total`); n < 2 {
		t.Error("no attempt failed")
	}
	pgtest.Eventually(t, "the channel", func() bool {
		if _, err := conn.Exec(t.Context(), `select pg_notify('news', 'it''s here')`); err != nil {
			t.Fatal(err)
		}
		return pgtest.Value[int](t, conn, `select count(*) from heard where payload = 'it''s here'`) > 0
	})
}

// Long statements have a bounded number of sessions, and leave the runner its own.
func TestLongStatementsDoNotStarveTheRunner(t *testing.T) {
	url := pgtest.Database(t)
	conn := connect(t, url, `create table handled (id int)`)
	var src strings.Builder
	src.WriteString(forStatements + `
		topic "orders" {}
		handler "h" {
			topic       = "orders"
			concurrency = 3
			sql {
				statement = <<-SQL
					with held as materialized (select pg_sleep(case when $1 <= 3 then 60 else 0 end))
					insert into handled select $1 from held
				SQL
				args = [event.payload]
			}
		}
		handler "other" {
			topic = "orders"
			sql {
				statement = "insert into handled values ($1)"
				args      = [event.payload]
			}
		}
		cron "quick" {
			schedule = "* * * * * *"
			webhook { url = "http://127.0.0.1:1" }
		}`)
	for i := range maxStatements + 4 {
		src.WriteString(`
		cron "long` + string(rune('a'+i)) + `" {
			schedule = "* * * * * *"
			sql {
				statement = "select pg_sleep(70)"
			}
		}`)
	}
	setup(t, url, src.String())
	const long = `select count(*) from pg_stat_activity
		where state = 'active' and pid <> pg_backend_pid() and query like '%pg_sleep(70)'`
	pgtest.Eventually(t, "the statements", func() bool { return pgtest.Value[int](t, conn, long) >= maxStatements })
	const fifty = `insert into pgsolo.event (topic, payload)
		select 'orders', to_jsonb(n) from generate_series(1, 50) as n`
	if _, err := conn.Exec(t.Context(), fifty); err != nil {
		t.Fatal(err)
	}
	pgtest.Eventually(t, "the other handler's events", func() bool {
		return pgtest.Value[int](t, conn, `select count(*) from handled`) >= 50
	})
	const ticks = `select count(*) from pgsolo.cron_run where job = 'quick' and outcome = 'failed'`
	before := pgtest.Value[int](t, conn, ticks)
	pgtest.Eventually(t, "ticks to be recorded", func() bool { return pgtest.Value[int](t, conn, ticks) >= before+2 })
	if n := pgtest.Value[int](t, conn, long); n != maxStatements {
		t.Errorf("%d statements run, want %d", n, maxStatements)
	}
}
