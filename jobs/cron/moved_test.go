package cron

import (
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/inbox"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
)

// second is the term of another group with the same job, whose steps the test takes. It has claimed.
func (c *cronTest) second(now *time.Time) *term {
	c.t.Helper()
	second, err := New(Options{Pool: c.pool, Schema: jobs.DefaultSchema, Group: "second", Jobs: []Job{c.cron}})
	if err != nil {
		c.t.Fatal(err)
	}
	second.now = func() time.Time { return *now }
	term := termOf(c.t, second)
	if err := term.claim(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	return term
}

// isLed waits until the lock says that the group is led.
func (c *cronTest) isLed() {
	c.t.Helper()
	pgtest.Eventually(c.t, "the leader's lock", func() bool {
		return pgtest.Value[bool](c.t, c.pool, `select pgsolo.is_led('main')`)
	})
}

// takes waits until the job is not held any more.
func (t *term) takes(c *cronTest) {
	c.t.Helper()
	pgtest.Eventually(c.t, "the job to be let go", func() bool {
		if err := t.claimHeld(c.t.Context()); err != nil {
			c.t.Fatal(err)
		}
		return t.jobs[0].stats().HeldBy == ""
	})
}

// A job that another group has is held while that is led. When its leader has gone without a word, the next one waits
// until that must have noticed.
func TestJobIsHeldUntilItsGroupIsGone(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(3)
	c.lead(1).at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), jobs.RetryAfter(10*time.Second, errNoDisk))
	c.idle()
	c.isLed()

	now := c.epoch.Add(1*minute + 30*time.Second) // the retry is due
	term := c.second(&now)
	if stats := term.jobs[0].stats(); stats.HeldBy != "main" || !stats.Next.IsZero() {
		t.Errorf("the second group's job: %+v", stats)
	}
	if term.scan(); term.outbox.hasStarts() {
		t.Error("a job that is held is started")
	}
	c.at(now.Sub(c.epoch))
	c.finish(c.next(started, 1*minute, 2), jobs.RetryAfter(10*time.Second, errNoDisk))
	c.idle()
	c.die()
	now = now.Add(time.Minute)
	term.takes(c)
	for _, step := range []struct {
		wait  time.Duration
		start int
	}{{0, 0}, {inbox.PollSubscribed, 0}, {movedHold, 1}} {
		now = c.epoch.Add(2*minute + 30*time.Second + step.wait)
		if term.scan(); len(term.outbox.toStart) != step.start {
			t.Errorf("%s after the claim %d runs are started, want %d", step.wait, len(term.outbox.toStart), step.start)
		}
	}
}

// While a job is held, it is asked for each second whose it is, and nothing is written.
func TestPollOfAHeldJobWritesNothing(t *testing.T) {
	run, _ := calls(t)
	c := setupCron(t, run).seen().lead(1)
	c.isLed()
	now := c.epoch
	term := c.second(&now)
	written := func() string {
		return pgtest.Value[string](t, c.pool, `select xmin::text || ' ' || xmax from pgsolo.cron_leader
			where "group" = 'second'`)
	}
	before := written()
	for range 3 {
		term.heldPolled = time.Time{}
		if err := term.claimHeld(t.Context()); err != nil || term.heldPolled.IsZero() {
			t.Fatalf("a poll at %s: %v", term.heldPolled, err)
		}
	}
	if after := written(); after != before || term.jobs[0].stats().HeldBy != "main" {
		t.Errorf("the leader's row was written by %s, and then by %s", before, after)
	}
	c.quit()
	term.heldPolled = time.Time{}
	if err := term.claimHeld(t.Context()); err != nil {
		t.Fatal(err)
	}
	term.takes(c)
	if after := written(); after == before {
		t.Error("the job is taken without a claim")
	}
}

// That a job is held is said while the other group is led, once.
func TestHeldIsSaidWhileTheOtherIsLed(t *testing.T) {
	var (
		log strings.Builder
		h   holding
	)
	logger := hclog.New(&hclog.LoggerOptions{Output: &log})
	for i, step := range []struct {
		led  bool
		said int
	}{{false, 0}, {true, 1}, {true, 1}, {false, 1}} {
		h.hold(rows.HeldOwner{Group: "other", Owner: group.Owner{Lives: step.led}}, logger)
		if n := strings.Count(log.String(), "held back"); n != step.said || h.heldBy != "other" {
			t.Errorf("step %d: held by %q, said %d times, want %d", i, h.heldBy, n, step.said)
		}
	}
}

// A job goes to another group with its position, at once: its own group's leader has stopped as planned, or has it no
// more.
func TestJobMovesToAnotherGroup(t *testing.T) {
	for name, letGo := range map[string]func(c *cronTest){
		"stopped": func(*cronTest) {},
		"renamed": func(c *cronTest) {
			c.cron.Name = "renamed"
			c.leadNext()
			c.isLed()
			c.cron.Name = "job"
		},
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.lead(1).at(1 * minute)
			c.finish(c.next(started, 1*minute, 1), nil)
			c.isLed()
			c.quit()
			letGo(c)
			now := c.epoch.Add(2*minute + 30*time.Second)
			term := c.second(&now)
			term.scan()
			due := term.outbox.toInsert
			if len(due) != 1 || !due[0].row.At.Equal(c.epoch.Add(2*minute)) {
				t.Errorf("%d ticks are made up for, want that of two minutes", len(due))
			}
		})
	}
}

// A leader whose clock is ahead dies, and the next one has the right time. The history has only the latest rows.
func TestClocksOfLeadersDiffer(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Schedules, c.cron.History = []string{"* * * * * *"}, History{Runs: 5, FailedRuns: 5}
	c.clock.now = c.epoch
	c.seen().lead(1)
	for s := time.Second; s <= 20*time.Second; s += time.Second {
		c.at(s)
		c.finish(c.next(started, s, 1), nil)
	}
	if err := c.all.pruner(c.term).prunePage(t.Context(), c.all.jobs); err != nil {
		t.Fatal(err)
	}
	c.quit()
	c.clock.move(c.epoch)
	c.leadNext().none(started)
	for s := time.Second; s <= 20*time.Second; s += time.Second {
		c.at(s)
		c.none(started)
	}
	c.at(21 * time.Second)
	c.finish(c.next(started, 21*time.Second, 1), nil)
	c.quit()
}

// A pause that ended before a tick does not hold it back, however late the leader reads of that.
func TestResumedJustBeforeATick(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().lead(1)
	c.exec(`select pgsolo.pause_job('job')`)
	c.notify()
	// resume_job, by the test's clock
	c.exec(`update pgsolo.cron_job set paused_at = null, last_at = $1`, c.epoch.Add(30*time.Second))
	c.clock.move(c.epoch.Add(60*time.Second + 10*time.Millisecond))
	c.notify()
	c.finish(c.next(started, time.Minute, 1), nil)
	c.quit()
}

// The clock is set back before a scan has seen that a run has ended and the next one may start.
func TestStepBackWhileOneIsNext(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Schedules, c.cron.Overlap = []string{"1,2 12 * * *"}, OverlapQueue
	c.seen().lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	c.at(2 * minute)
	c.none(started)
	c.clock.move(c.epoch.Add(2*minute - time.Second))
	c.finish(first, nil)
	c.finish(c.next(started, 2*minute, 1), nil)
	c.quit()
}

// enabled = false also ends what an earlier leader has left waiting.
func TestDisabledWithAQueue(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap, c.cron.OnInterrupt, c.cron.Disabled = OverlapQueue, InterruptRetry, true
	c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, outcome, attempt, started_at)
		values ('job', $1, 1, 'running', 1, now()),
			('job', $1::timestamptz + interval '1 minute', 1, 'queued', 0, null)`, c.epoch)
	c.clock.now = c.epoch.Add(90 * time.Second)
	c.lead(2).none(started)
	c.at(2 * minute)
	c.none(started)
	c.quit()
	c.wantRuns(runRow{0, "interrupted", "the job is not enabled"},
		runRow{time.Minute, "skipped", "the job is not enabled"})
}
