package e2e

import (
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

const terminate = `select pg_terminate_backend(pid)` + ofFirstTerm

// planned is a stop of the leader during a run of each job.
type planned struct {
	stop  func(*pointTest)
	says  string // in the leader's log
	drain string
	code  int // of its exit; -1: it stands by
	want  map[string]outcome
}

// What ends within the drain has ended, what does not is cut off, and the successor goes on.
func TestPlannedStopDuringATick(t *testing.T) {
	signal := func(p *pointTest) { p.leads.signal(syscall.SIGTERM) }
	stepDown := func(p *pointTest) { p.exec(`select pgsolo.step_down('main')`) }
	loseSessions := func(p *pointTest) { p.exec(terminate) }
	bothFinished := map[string]outcome{"abandon": finished, "retry": finished}
	bothCutOff := map[string]outcome{"abandon": lost, "retry": repeated}
	together(t, map[string]planned{
		"signal":                {signal, "stopping", "20s", command.ExitDone, bothFinished},
		"signal, no drain":      {signal, "stopping", "0s", command.ExitDone, bothCutOff},
		"step down":             {stepDown, "asked to step down", "20s", -1, bothFinished},
		"step down, no drain":   {stepDown, "asked to step down", "0s", -1, bothCutOff},
		"all sessions are lost": {loseSessions, "leadership lost", "20s", command.ExitUnhealthy, bothCutOff},
	}, func(t *testing.T, test planned) {
		p := setupPoint(t, false, seenLease, test.drain)
		ticks, _ := duringRun(p)
		test.stop(p)
		pgtest.Eventually(t, "the stop to begin", func() bool {
			return strings.Contains(p.leads.log.String(), test.says)
		})
		if test.drain == "0s" {
			p.leader(1) // and only then may the runs go on, which have been cut off
		}
		p.goOn(ticks, test.want)
		if test.code != command.ExitUnhealthy {
			// Where the drain is over it has one second for that, which may be too little on a busy machine: then it
			// says so.
			pgtest.Eventually(t, "a row that the old leader has closed", func() bool {
				return pgtest.Value[bool](t, p.conn, `select coalesce(error, '') not like '%was gone%'
					from pgsolo.cron_run
					where job = 'abandon' and scheduled_at = $1`, ticks["abandon"]) ||
					test.drain == "0s" && strings.Contains(p.leads.log.String(), "last outcomes not written")
			})
		}
		if test.code < 0 {
			pgtest.Eventually(t, "the old leader to stand by", func() bool { return p.leads.is("/standby") })
		} else if code := p.leads.exit(); code != test.code {
			t.Errorf("exit code %d, want %d", code, test.code)
		}
		if strings.Contains(p.leads.log.String(), "[ERROR]") != (test.code == command.ExitUnhealthy) {
			t.Error("want an error in the log only where the leadership was lost")
		}
	})
}

// A leader that loses a session while it writes goes on.
func TestLostSessionOfACronLeader(t *testing.T) {
	type reach = func(*pointTest) (map[string]time.Time, func())
	together(t, map[string]reach{"row": beforeRow, "finish": beforeFinish}, func(t *testing.T, reach reach) {
		p := setupPoint(t, false, seenLease, "20s")
		ticks, then := reach(p)
		var waiting []int32
		pgtest.Eventually(t, "sessions that wait", func() bool {
			waiting = pgtest.Value[[]int32](t, p.conn,
				`select coalesce(array_agg(pid), '{}')`+ofFirstTerm+` and wait_event_type = 'Lock'`)
			return len(waiting) > 0
		})
		p.exec(`select pg_terminate_backend(pid) from unnest($1::int[]) pid`, waiting)
		p.has("a leader that tries again", waits+` and pid <> all ($1)`, waiting)
		then()
		for job, at := range ticks {
			p.has("the end of the tick", `select exists (select from pgsolo.cron_run
				where job = $1 and scheduled_at = $2 and outcome = 'ok')`, job, at)
		}
		p.checkAll(ticks, map[string]outcome{"abandon": finished, "retry": finished})
	})
}

// PostgreSQL is restarted during runs: the leader ends without having written anything more, and another one goes on.
func TestRestartOfPostgreSQLDuringATick(t *testing.T) {
	t.Parallel()
	modes := map[string]privatepg.Mode{"fast": privatepg.Fast, "immediate": privatepg.Immediate}
	together(t, modes, func(t *testing.T, mode privatepg.Mode) {
		server := pgtest.Server(t, privatepg.Options{})
		if err := replica.Migrate(t.Context(), server.URL("postgres"), "pgsolo"); err != nil {
			t.Fatal(err)
		}
		p := setupPointAt(t, server.URL("postgres"), false, seenLease, "20s")
		ticks, _ := duringRun(p)
		if err := server.Restart(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		p.conn = pgtest.Connect(t, p.url)
		// Only then may the runs go on, which have been cut off.
		if code := p.leads.exit(); code != command.ExitUnhealthy {
			t.Errorf("exit code %d, want %d", code, command.ExitUnhealthy)
		}
		p.goOn(ticks, map[string]outcome{"abandon": lost, "retry": repeated})
	})
}
