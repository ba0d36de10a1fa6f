package e2e

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Programs that kill pgsolo for the payload "poison", the second one only from the second attempt on, and note any
// other.
const (
	killing = `p=$(cat); [ $p != '\"poison\"' ] || { kill -9 $PPID; exit; }; echo $p >> %s`

	killingRetries = `p=$(cat); [ $p != '\"poison\"' ] || { [ $PGSOLO_ATTEMPT = 1 ] || kill -9 $PPID; exit 1; }; ` +
		`echo $p >> %s`
)

// An event that kills its process is a dead letter after its attempts, and what stands beside it is handled.
func TestPoisonEvent(t *testing.T) {
	for name, test := range map[string]struct {
		program     string // default killing
		concurrency int
		more        string // of the handler
		other       string // more of the configuration
		emit        string
		stream      int // so many events more, one after the other
		poison      int // events; default 1
	}{
		"alone": {concurrency: 1, emit: `select pgsolo.emit('t', '"poison"')`},
		"beside others": {concurrency: 4, emit: `
			select pgsolo.emit('t', case n when 5 then '"poison"' else to_jsonb(n) end) from generate_series(1, 20) n`},
		"two": {concurrency: 3, poison: 2, emit: `
			select pgsolo.emit('t', case when n in (5, 6) then '"poison"' else to_jsonb(n) end)
			from generate_series(1, 20) n`},
		"a retry": {program: killingRetries, concurrency: 2, emit: `
			select pgsolo.emit('t', case n when 2 then '"poison"' else to_jsonb(n) end) from generate_series(1, 8) n`},
		"order by key": {concurrency: 4, more: `order = "key"`, emit: `
			select pgsolo.emit('t', case n when 3 then '"poison"' else to_jsonb(n) end, key => 'k' || n % 3)
			from generate_series(1, 12) n`},
		"delayed": {concurrency: 2, emit: `
			select pgsolo.emit('t', case n when 2 then '"poison"' else to_jsonb(n) end,
				deliver_at => clock_timestamp() + interval '300 ms') from generate_series(1, 5) n`},
		"two handlers": {concurrency: 2, emit: `
			select pgsolo.emit('t', case n when 2 then '"poison"' else to_jsonb(n) end) from generate_series(1, 4) n`,
			other: `handler "slow" {
				topic = "t"
				concurrency = 2
				exec { command = ["/bin/sh", "-c", "sleep 1; cat >> %[1]s; echo >> %[1]s"] }
			}`},
		"beside a cron job": {concurrency: 2, emit: `
			select pgsolo.emit('t', case n when 2 then '"poison"' else to_jsonb(n) end) from generate_series(1, 4) n`,
			other: `cron "busy" {
				schedule = "@every 1s"
				exec { command = ["/bin/sh", "-c", "sleep 0.9; for n in 1 2 3 4; do echo $n; done >> %[1]s"] }
			}`},
		"in a stream": {concurrency: 3, stream: 100, emit: `
			select pgsolo.emit('t', case n when 5 then '"poison"' else to_jsonb(n) end) from generate_series(1, 20) n`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			done := filepath.Join(t.TempDir(), "done")
			program, other := fmt.Sprintf(killing, done), ""
			if test.program != "" {
				program = fmt.Sprintf(test.program, done)
			}
			if test.other != "" {
				other = fmt.Sprintf(test.other, done+".slow")
			}
			r := startReplicas(t, pgtest.Database(t), fmt.Sprintf(`
				topic "t" {}
				handler "h" {
					topic       = "t"
					concurrency = %d
					%s
					exec { command = ["/bin/sh", "-c", "%s"] }
					retry {
						attempts = 3
						backoff  = "10ms"
					}
				}
				%s`, test.concurrency, test.more, program, other), 1)
			r.leader(0)
			r.exec(test.emit)
			events := pgtest.Value[int](t, r.conn, `select count(*) from pgsolo.event`)
			letters := max(1, test.poison)
			pgtest.Eventually(t, "the dead letters and all others", func() bool {
				r.restart()
				if test.stream > 0 {
					r.exec(`select pgsolo.emit('t', to_jsonb($1::int))`, 1000+test.stream)
					test.stream--
					events++
				}
				return test.stream == 0 &&
					pgtest.Value[int](t, r.conn, `select count(*) from pgsolo.dead_letter`) == letters &&
					distinct(done) == events-letters && (other == "" || distinct(done+".slow") == events)
			})
			if letters != pgtest.Value[int](t, r.conn, `select count(*) from pgsolo.dead_letter
					where handler = 'h' and payload = '"poison"'
						and error ~ '^its leader ended [3-9] times while it alone was under way$'`) {
				t.Error("the dead letters are others, or say something else")
			}
			t.Logf("%d deaths", len(r.all)-1)
		})
	}
}

// An event of a handler of SQL that kills its process is one, too, and what its transactions write is there once.
func TestPoisonEventOfSQL(t *testing.T) {
	t.Parallel()
	r := startReplicas(t, pgtest.Database(t), `
		topic "t" {}
		handler "h" {
			topic       = "t"
			concurrency = 2
			sql {
				statement = "select handle($1)"
				args      = [event.payload]
			}
		}`, 0)
	r.exec(`create table handled (payload text)`)
	r.exec(`create function handle(payload text) returns void language plpgsql as $$
		begin
			insert into handled values (payload);
			if payload = 'poison' then
				perform pg_advisory_xact_lock(666); -- by which the test sees that it is to kill
				perform pg_sleep(60);
			end if;
		end $$`)
	r.start()
	r.leader(0)
	r.exec(`select pgsolo.emit('t', to_jsonb(case n when 6 then 'poison' else n::text end))
		from generate_series(1, 20) n`)
	pgtest.Eventually(t, "the dead letter and all others", func() bool {
		latest := r.all[len(r.all)-1]
		switch inside := pgtest.Value[bool](t, r.conn, `select exists (select from pg_locks
			where locktype = 'advisory' and objid = 666 and database = (
				select oid from pg_database where datname = current_database()))`); {
		case latest.HasEnded() && !inside:
			r.start()
		case !latest.HasEnded() && inside:
			latest.kill()
			latest.exit()
		}
		return pgtest.Value[int](t, r.conn, `select count(*) from pgsolo.dead_letter`) == 1 &&
			pgtest.Value[int](t, r.conn, `select count(distinct payload) from handled`) == 19
	})
	if n := pgtest.Value[int](t, r.conn, `select count(*) from handled`); n != 19 {
		t.Errorf("%d events are handled, want 19", n)
	}
}

// A cron job that kills its process has its runs interrupted, and makes no event a dead letter.
func TestCronJobThatKillsItsProcess(t *testing.T) {
	t.Parallel()
	done := filepath.Join(t.TempDir(), "done")
	r := startReplicas(t, pgtest.Database(t), fmt.Sprintf(`
		topic "t" {}
		handler "h" {
			topic = "t"
			exec { command = ["/bin/sh", "-c", "sleep 3; cat >> %[1]s; echo >> %[1]s"] }
			retry { attempts = 3 }
		}
		cron "kills" {
			schedule = "@every 1s"
			exec { command = ["/bin/sh", "-c", "[ $(wc -l < %[2]s) = 9 ] || { echo >> %[2]s; kill -9 $PPID; }"] }
		}`, done, done+".kills"), 0)
	if err := os.WriteFile(done+".kills", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	r.start()
	r.leader(0)
	r.exec(`select pgsolo.emit('t', to_jsonb(n)) from generate_series(1, 2) n`)
	pgtest.Eventually(t, "all events, and nine deaths", func() bool {
		r.restart()
		return distinct(done) == 2 && len(r.all) > 9
	})
	if n := pgtest.Value[int](t, r.conn, `select count(*) from pgsolo.delivery`); n != 0 {
		t.Errorf("%d events have failed", n)
	}
	r.has("the runs that were interrupted",
		`select count(*) >= 5 and not exists (select from pgsolo.cron_run where attempt > 1)
		from pgsolo.cron_run where outcome = 'interrupted'`)
}

// restart starts a replica where the latest one has ended.
func (r *replicas) restart() {
	if r.all[len(r.all)-1].HasEnded() {
		r.start()
	}
}

// distinct counts the distinct lines of a file.
func distinct(path string) int {
	text, _ := os.ReadFile(path)
	lines := map[string]bool{}
	for line := range strings.Lines(string(text)) {
		lines[line] = true
	}
	return len(lines)
}
