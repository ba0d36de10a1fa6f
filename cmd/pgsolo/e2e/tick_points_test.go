package e2e

import (
	"os"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// point is a moment in a tick's life.
type point struct {
	manual bool // the jobs run only when they are triggered

	// acts: a leader that was frozen there is about to do something for the tick when it wakes.
	acts bool

	// reach brings a tick of each job there, or of one, and returns them, and what is to be done when the leader is
	// gone.
	reach func(p *pointTest) (ticks map[string]time.Time, then func())
	want  map[string]outcome
}

var points = map[string]point{
	"before the row": {reach: beforeRow, acts: true,
		want: map[string]outcome{"abandon": begunLater, "retry": begunLater}},
	"between row and start": {reach: beforeStart, acts: true,
		want: map[string]outcome{"abandon": {"interrupted", 1, 1, nil}, "retry": {"ok", 2, 2, []int{2}}}},
	"during the run": {reach: duringRun, acts: true,
		want: map[string]outcome{"abandon": lost, "retry": repeated}},
	"before the finish is written": {reach: beforeFinish, acts: true,
		want: map[string]outcome{"abandon": lost, "retry": repeated}},
	"after the finish is written": {reach: afterFinish,
		want: map[string]outcome{"retry": finished}},
	"between two attempts": {reach: betweenAttempts, acts: true, manual: true,
		want: map[string]outcome{"abandon": repeated, "retry": repeated}},
	"before the second start, abandoned": {reach: beforeSecondStart("abandon"), manual: true,
		want: map[string]outcome{"abandon": {"interrupted", 2, 1, []int{1}}}},
	"before the second start, retried": {reach: beforeSecondStart("retry"), manual: true,
		want: map[string]outcome{"retry": {"ok", 3, 2, []int{1, 3}}}},
	"in the queue": {reach: inQueue,
		want: map[string]outcome{"abandon": begunLater, "retry": begunLater}},
	"triggered": {reach: triggered, acts: true, manual: true,
		want: map[string]outcome{"abandon": begunLater, "retry": begunLater}},
}

// beforeRow: the leader waits to write the row. A leader that a busy machine has held up may have found two ticks of a
// job at once, and makes up for them. One that waits before the second of them is due has not.
func beforeRow(p *pointTest) (ticks map[string]time.Time, unlock func()) {
	p.has("a first tick", `select count(distinct job) = 2 from pgsolo.cron_run`)
	pgtest.Eventually(p.t, "a leader that waits in time", func() bool {
		unlock = p.lockLeader()
		ticks = map[string]time.Time{}
		var following time.Time
		for _, job := range []string{"abandon", "retry"} {
			ticks[job] = pgtest.Value[time.Time](p.t, p.conn,
				`select max(scheduled_at) + interval '1 second' from pgsolo.cron_run where job = $1`, job)
			following = ticks[job].Add(time.Second)
		}
		p.has("a leader that waits", waits)
		if time.Now().Before(following) {
			return true
		}
		unlock()
		return false
	})
	return ticks, unlock
}

// beforeStart: the leader has written the row, and gets no answer.
func beforeStart(p *pointTest) (map[string]time.Time, func()) {
	ticks, unlock := beforeRow(p)
	p.leads.freeze()
	unlock()
	p.has("the rows", `select count(*) = 2 from pgsolo.cron_run where outcome = 'running'`)
	return ticks, func() {}
}

func duringRun(p *pointTest) (map[string]time.Time, func()) {
	g := newGate()
	p.hold.Store(g)
	ticks := map[string]time.Time{}
	for len(ticks) < 2 {
		c := p.arrives(g)
		ticks[c.Name] = c.ScheduledAt
	}
	return ticks, func() {}
}

// beforeFinish: the function has returned, and the leader waits to write that.
func beforeFinish(p *pointTest) (map[string]time.Time, func()) {
	ticks, _ := duringRun(p)
	unlock := p.lock(`select pg_advisory_xact_lock(hashtext(job)) from pgsolo.cron_job`)
	p.open()
	p.has("a leader that waits", waits)
	return ticks, unlock
}

// afterFinish: the leader has written how a run ended, and gets no answer.
func afterFinish(p *pointTest) (map[string]time.Time, func()) {
	ticks, _ := duringRun(p)
	unlock := p.lock(`select pg_advisory_xact_lock(hashtext('retry'))`)
	p.open()
	p.has("a leader that waits", waits)
	p.leads.freeze()
	unlock()
	p.has("the finish", `select outcome = 'ok' from pgsolo.cron_run where job = 'retry' and scheduled_at = $1`,
		ticks["retry"])
	delete(ticks, "abandon")
	return ticks, func() {}
}

func betweenAttempts(p *pointTest) (map[string]time.Time, func()) {
	p.fails.Store(true)
	ticks := map[string]time.Time{"abandon": p.trigger("abandon"), "retry": p.trigger("retry")}
	p.has("two runs that wait for their retry", `select count(*) = 2 from pgsolo.cron_run where outcome = 'retrying'`)
	p.fails.Store(false) // the next leader's may start at once
	return ticks, func() {}
}

// beforeSecondStart: as beforeStart, for the second attempt.
func beforeSecondStart(job string) func(*pointTest) (map[string]time.Time, func()) {
	return func(p *pointTest) (map[string]time.Time, func()) {
		p.fails.Store(true)
		ticks := map[string]time.Time{job: p.trigger(job)}
		p.has("a run that waits for its retry", `select count(*) = 1 from pgsolo.cron_run where outcome = 'retrying'`)
		unlock := p.lock(`select from pgsolo.cron_leader for update`)
		p.has("a leader that waits", waits)
		p.leads.freeze()
		unlock()
		p.has("the second attempt", `select outcome = 'running' and attempt = 2 from pgsolo.cron_run`)
		p.fails.Store(false) // the next leader's may start at once
		return ticks, func() {}
	}
}

func inQueue(p *pointTest) (map[string]time.Time, func()) {
	ticks, _ := duringRun(p)
	for job := range ticks {
		p.has("a tick in the queue",
			`select exists (select from pgsolo.cron_run where job = $1 and outcome = 'queued')`, job)
		ticks[job] = pgtest.Value[time.Time](p.t, p.conn,
			`select min(scheduled_at) from pgsolo.cron_run where job = $1 and outcome = 'queued'`, job)
	}
	return ticks, func() {}
}

// triggered: the leader waits to write that the runs start.
func triggered(p *pointTest) (map[string]time.Time, func()) {
	unlock := p.lockLeader()
	ticks := map[string]time.Time{"abandon": p.trigger("abandon"), "retry": p.trigger("retry")}
	p.has("a leader that waits", waits)
	return ticks, unlock
}

func TestKilledAtEveryPointOfATick(t *testing.T) {
	t.Parallel()
	together(t, points, func(t *testing.T, at point) {
		p := setupPoint(t, at.manual, seenLease, "20s")
		ticks, then := at.reach(p)
		p.witness.Killing(1)
		p.leads.kill()
		<-p.leads.ended
		p.has("its sessions to end", isGone)
		then()
		p.goOn(ticks, at.want)
	})
}

// A leader that is frozen while its successor takes over neither writes nor starts anything when it wakes.
func TestFrozenAtEveryPointOfATick(t *testing.T) {
	t.Parallel()
	together(t, points, func(t *testing.T, at point) {
		if !at.acts && os.Getenv("PGSOLO_TEST_KILLS") == "" {
			t.Skip("PGSOLO_TEST_KILLS is not set, and here a leader that wakes has nothing to do")
		}
		p := setupPoint(t, at.manual, frozenLease, "20s")
		ticks, then := at.reach(p)
		p.leads.freeze()
		p.has("its sessions to end", isGone)
		then()
		p.goOn(ticks, at.want)
		p.leads.thaw()
		if code := p.leads.exit(); code != command.ExitUnhealthy {
			t.Errorf("the frozen leader's exit code is %d, want %d", code, command.ExitUnhealthy)
		}
		p.checkAll(ticks, at.want)
	})
}
