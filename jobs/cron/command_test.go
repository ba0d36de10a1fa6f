package cron

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/admin"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/inbox"
)

// pause and resume pause and resume the job, and let the leader see it.
func (c *cronTest) pause() {
	c.t.Helper()
	if err := (admin.CronJobs{}).Pause(c.t.Context(), c.pool, "job"); err != nil {
		c.t.Fatal(err)
	}
	c.notify()
}

func (c *cronTest) resume() {
	c.t.Helper()
	if err := (admin.CronJobs{}).Resume(c.t.Context(), c.pool, "job"); err != nil {
		c.t.Fatal(err)
	}
	c.notify()
}

func TestPauseHoldsOverTerms(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Missed = MissedAll
	c.lead(1).pause()
	c.at(1 * minute)
	c.none(started)
	if stats := c.job.stats(); !stats.Paused || !stats.Next.IsZero() {
		t.Errorf("stats: %+v, want paused", stats)
	}
	c.quit()
	c.leadNext().at(2 * minute)
	c.none(started)
	since := pgtest.Value[time.Time](t, c.pool, `select paused_at from pgsolo.cron_job`)
	c.pause() // changes nothing
	if again := pgtest.Value[time.Time](t, c.pool, `select paused_at from pgsolo.cron_job`); !again.Equal(since) {
		t.Errorf("paused at %s, want %s", again, since)
	}
	c.resume()
	c.none(started)
	if stats := c.job.stats(); stats.Paused || !stats.Next.Equal(c.epoch.Add(3*minute)) {
		t.Errorf("stats: %+v, want resumed", stats)
	}
	c.at(3 * minute)
	c.finish(c.next(started, 3*minute, 1), nil)
	c.resume() // changes nothing
	c.quit()
	c.wantRuns(runRow{3 * minute, "ok", ""})
}

// There is no leader when the pause ends.
func TestResumeWithoutALeader(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Missed, c.cron.StartingDeadline = MissedAll, 24*time.Hour
	c.epoch = time.Now().Add(-time.Hour).Truncate(minute)
	c.seen()
	c.exec(`update pgsolo.cron_job set paused_at = $1`, c.epoch)
	c.exec(`select pgsolo.resume_job('job')`)
	c.epoch = pgtest.Value[time.Time](t, c.pool, `select last_at from pgsolo.cron_job`).Truncate(minute)
	c.clock.now = c.epoch.Add(minute - 1)
	c.lead(1).none(started)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), nil)
	c.quit()
}

// What runs goes on, and what waits waits until the pause has ended. A manual run starts.
func TestPauseKeepsWhatWaits(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Overlap = OverlapQueue
	c.lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	c.at(2 * minute)
	c.pause()
	if first.ctx.Err() != nil {
		t.Error("the run is cancelled")
	}
	c.finish(first, nil)
	c.none(started)
	c.trigger(false)
	c.finish(pgtest.Within(t, "the manual run", started), nil)
	c.none(started)
	c.resume()
	c.finish(c.next(started, 2*minute, 1), nil)
	c.quit()
	c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 1, ""}, attemptRow{2 * minute, "schedule", "ok", 1, ""},
		attemptRow{0, "manual", "ok", 1, ""})
}

func TestPauseKeepsARetry(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(2).lead(1)
	c.at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), errNoDisk)
	c.pause()
	c.at(5 * minute)
	c.none(started)
	c.resume()
	c.finish(c.next(started, 1*minute, 2), nil)
	c.quit()
	c.wantRuns(runRow{1 * minute, "ok", ""})
}

// A pause that the leader has not read holds for what it begins after that.
func TestPauseBeforeItIsRead(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().lead(1)
	c.exec(`select pgsolo.pause_job('job')`)
	c.at(1 * minute)
	c.none(started)
	c.resume()
	c.at(2 * minute)
	c.finish(c.next(started, 2*minute, 1), nil)
	c.quit()
	c.wantRuns(runRow{2 * minute, "ok", ""})
}

// It was paused before the tick was to start, and resumed before that, too: the tick is still to come, whoever leads.
func TestPauseWithinTheJitter(t *testing.T) {
	for name, succeed := range map[string]bool{"the leader goes on": false, "a new leader": true} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run)
			c.cron.Schedules, c.cron.Jitter = []string{"1 12 * * *"}, time.Hour
			delay := c.cron.Delay()
			if delay < 5*minute {
				t.Fatalf("the name has a delay of %s, want one of more than five minutes", delay)
			}
			c.seen().lead(1).at(2 * minute)
			c.pause()
			c.at(3 * minute)
			c.resumeAt(3*minute, succeed)
			c.at(1*minute + delay)
			c.finish(c.next(started, 1*minute, 1), nil)
			c.quit()
		})
	}
}

// A tick that was to start during the pause is not made up for, whoever leads.
func TestPauseOverTheStart(t *testing.T) {
	for name, succeed := range map[string]bool{"the leader goes on": false, "a new leader": true} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run)
			c.cron.Schedules, c.cron.Jitter, c.cron.Missed = []string{"1,30 12 * * *"}, time.Hour, MissedAll
			c.cron.StartingDeadline = 24 * time.Hour
			delay := c.cron.Delay()
			c.seen().lead(1).at(2 * minute)
			c.pause()
			c.clock.move(c.epoch.Add(2*minute + delay))
			c.resumeAt(2*minute+delay, succeed).none(started)
			c.at(30*minute + delay)
			c.finish(c.next(started, 30*minute, 1), nil)
			c.quit()
		})
	}
}

// resumeAt is resume by the test's clock. The leader goes on, or another one sees it first.
func (c *cronTest) resumeAt(after time.Duration, succeed bool) *cronTest {
	c.t.Helper()
	if succeed {
		c.quit()
	}
	c.exec(`select pgsolo.resume_job('job')`)
	c.exec(`update pgsolo.cron_job set last_at = $1, resumed_at = $1`, c.epoch.Add(after))
	if succeed {
		return c.leadNext()
	}
	c.notify()
	return c
}

func TestDisabled(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.cron.Disabled, c.cron.Missed = true, MissedAll
	c.lead(1).at(2 * minute)
	c.none(started)
	if next := c.job.stats().Next; !next.IsZero() {
		t.Errorf("the next tick is said to be %s", next)
	}
	c.trigger(false)
	c.finish(pgtest.Within(t, "the manual run", started), nil)
	c.quit()
	c.cron.Disabled = false
	c.leadNext().none(started)
	c.at(3 * minute)
	c.finish(c.next(started, 3*minute, 1), nil)
	c.quit()
}

// An older configuration leads for a moment, without the job. What it has left open goes on, and what was missed is
// made up for.
func TestRemovedForAMoment(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(2)
	c.cron.Overlap, c.cron.Missed = OverlapQueue, MissedAll
	c.lead(1).at(1 * minute)
	c.finish(c.next(started, 1*minute, 1), errNoDisk)
	c.quit()
	job := c.cron
	c.cron = Job{Name: "other", Schedules: []string{"0 0 1 1 *"}, Run: run}
	c.leadNext().at(3 * minute)
	c.none(started)
	c.quit()
	c.cron = job
	c.leadNext()
	c.finish(c.next(started, 1*minute, 2), nil)
	c.finish(c.next(started, 2*minute, 1), nil)
	c.finish(c.next(started, 3*minute, 1), nil)
	c.at(4 * minute)
	c.finish(c.next(started, 4*minute, 1), nil)
	c.quit()
	c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 2, ""}, attemptRow{2 * minute, "catch_up", "ok", 1, ""},
		attemptRow{3 * minute, "schedule", "ok", 1, ""}, attemptRow{4 * minute, "schedule", "ok", 1, ""})
}

// Its paused state survives, and what is open does not. When it comes back after the grace, nothing is made up for.
func TestRemovedAndAddedAgain(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(2)
	c.forgetAfter = jobs.ForgetAtOnce
	c.cron.Overlap, c.cron.Missed = OverlapQueue, MissedAll
	c.lead(1).at(1 * minute)
	first := c.next(started, 1*minute, 1)
	c.at(2 * minute)
	c.finish(first, errNoDisk)
	c.quit()
	job := c.cron
	c.cron = Job{Name: "other", Schedules: []string{"0 0 1 1 *"}, Run: run}
	c.leadNext().at(3 * minute)
	const removed = "the job was removed from the configuration"
	want := []attemptRow{{1 * minute, "schedule", "skipped", 1, removed},
		{2 * minute, "schedule", "skipped", 0, removed}}
	_, err := admin.CronJobs{}.Trigger(t.Context(), c.pool, "job", false)
	if !errors.Is(err, admin.ErrUnknownJob) || !strings.Contains(err.Error(), "other.") {
		t.Errorf("trigger: %v, want %v with the jobs", err, admin.ErrUnknownJob)
	}
	c.quit()
	c.cron = job
	c.leadNext().none(started)
	c.at(4 * minute)
	c.finish(c.next(started, 4*minute, 1), nil)
	c.quit()
	c.wantAttempts(append(want, attemptRow{4 * minute, "schedule", "ok", 1, ""})...)
}

func TestCommandsForAnUnknownJob(t *testing.T) {
	c := setupCron(t, func() TickFunc { run, _ := calls(t); return run }())
	commands := map[string]func(job string) error{
		"pause":  func(job string) error { return admin.CronJobs{}.Pause(t.Context(), c.pool, job) },
		"resume": func(job string) error { return admin.CronJobs{}.Resume(t.Context(), c.pool, job) },
		"trigger": func(job string) error {
			_, err := admin.CronJobs{}.Trigger(t.Context(), c.pool, job, true)
			return err
		},
	}
	check := func(want string) {
		t.Helper()
		for verb, command := range commands {
			err := command("none such")
			if !errors.Is(err, admin.ErrUnknownJob) || !strings.Contains(err.Error(), want) ||
				!strings.Contains(err.Error(), verb+` cron job "none such"`) {
				t.Errorf("%s: %v, want %v with %q", verb, err, admin.ErrUnknownJob, want)
			}
			if err := command("a\x00b"); err == nil {
				t.Errorf("%s takes a name with a zero byte", verb)
			}
		}
	}
	check("No leader has made one known yet.")
	c.exec(`insert into pgsolo.cron_job (job, schedule, last_at, forgotten_at) values
		('b', '', now(), null), ('a', '', now(), null), ('none such', '', now(), now())`)
	check("Cron jobs: a, b.")
}

func TestCommandGrants(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `insert into pgsolo.cron_job (job, schedule, last_at) values ('job', '', now())`)
	may, _ := jobstest.SessionOf(t, pool,
		`grant execute on function pgsolo.pause_job, pgsolo.resume_job, pgsolo.trigger_job to {role}`)
	mayNot, _ := jobstest.SessionOf(t, pool)
	for _, sql := range []string{
		`select pgsolo.pause_job('job')`, `select pgsolo.resume_job('job')`, `select pgsolo.trigger_job('job')`,
		`select pgsolo.trigger_job('job', true)`,
	} {
		if _, err := may.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
		if _, err := mayNot.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: allowed without a grant", sql)
		}
	}
	for _, sql := range []string{
		`update pgsolo.cron_job set paused_at = now()`,
		`insert into pgsolo.cron_run (job, scheduled_at, term) values ('job', now(), 1)`,
		`select pgsolo.check_job('job')`, `select pgsolo.tell_cron()`, `select * from pgsolo.cron_run`,
		`update pgsolo.cron_leader set term = 9`,
	} {
		if _, err := may.Exec(t.Context(), sql); err == nil {
			t.Errorf("%s: allowed", sql)
		}
	}
	if runs := pgtest.Value[int](t, pool, `select count(*) from pgsolo.cron_run where cause = 'manual'`); runs != 2 {
		t.Errorf("%d runs, want 2", runs)
	}
}

// With a LISTEN session, in a schema of its own.
func TestCommandsInAnotherSchema(t *testing.T) {
	pool := jobstest.Pool(t)
	if err := jobs.Migrate(t.Context(), jobstest.OwnSession(t, pool), "elsewhere"); err != nil {
		t.Fatal(err)
	}
	subscribe, channel := jobstest.Listen(t, pool), "elsewhere.cron"
	subscription, err := subscribe(channel)
	if err != nil {
		t.Fatal(err)
	}
	defer subscription.Close()
	pgtest.Eventually(t, "LISTEN to be in force", func() bool {
		jobstest.MustExec(t, pool, `select pg_notify($1, '')`, channel)
		return len(subscription.Messages) > 0
	})
	run, started := calls(t)
	s, err := New(Options{
		Pool: pool, Schema: "elsewhere", Group: "main", Subscribe: subscribe,
		Jobs: []Job{{Name: "job", Schedules: []string{"@yearly"}, Run: run}},
	})
	if err != nil {
		t.Fatal(err)
	}
	stop, ended := make(chan struct{}), make(chan error, 1)
	go func() { ended <- s.Run(t.Context(), jobs.Lead{Number: 1, Stopping: stop}) }()
	jobs := admin.CronJobs{Schema: "elsewhere"}
	pgtest.Eventually(t, "the job to be known", func() bool {
		_, err := jobs.Trigger(t.Context(), pool, "job", false)
		return err == nil
	})
	pgtest.Within(t, "the first manual run", started).end <- nil
	triggered := 1
	pgtest.Quickly(t, inbox.PollSubscribed/2, func() time.Duration {
		begun := time.Now()
		if _, err := jobs.Trigger(t.Context(), pool, "job", true); err != nil {
			t.Fatal(err)
		}
		triggered++
		pgtest.Within(t, "a manual run", started).end <- nil
		return time.Since(begun)
	})
	close(stop)
	if err := pgtest.Within(t, "the job to end", ended); err != nil {
		t.Error(err)
	}
	runs, err := jobs.Runs(t.Context(), pool, "job", time.Time{}, 10)
	if err != nil || len(runs) != triggered || runs[0].Outcome != "ok" || runs[0].Cause != "manual" ||
		runs[0].Term != 1 {
		t.Errorf("runs: %+v, %v", runs, err)
	}
}
