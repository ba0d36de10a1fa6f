package cron

import (
	"context"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/clock"
)

func TestMissedTicks(t *testing.T) {
	const day = 24 * time.Hour
	type tick struct {
		Before  time.Duration // now
		CatchUp bool
	}
	for _, test := range []struct {
		name     string
		schedule string
		missed   Missed
		deadline time.Duration
		outage   time.Duration // from the last tick to now
		want     []tick
	}{
		{"none due", "@every 1m", MissedAll, 0, 59 * time.Second, nil},
		{"on time", "@every 1m", MissedSkip, 0, 60 * time.Second, []tick{{0, false}}},
		{"a second late is on time", "@every 1m", MissedSkip, 0, 61 * time.Second, []tick{{time.Second, false}}},
		{"skip", "@every 1m", MissedSkip, 0, 62 * time.Second, nil},
		{"skip, the latest on time", "@every 1m", MissedSkip, 0, 10 * time.Minute, []tick{{0, false}}},
		{"once", "@every 1m", MissedOnce, 0, 10*time.Minute + 2*time.Second, []tick{{2 * time.Second, true}}},
		{"once, the latest on time stands for all", "@every 1m", MissedOnce, 0, 10 * time.Minute, []tick{{0, false}}},
		{"once, at the deadline", "0 12 * * *", MissedOnce, time.Hour, 25 * time.Hour, []tick{{time.Hour, true}}},
		{"once, past the deadline", "0 12 * * *", MissedOnce, time.Hour, 25*time.Hour + 1, nil},
		{"once, after two weeks of a five-second job", "@every 5s", MissedOnce, 30 * day, 14*day + 3*time.Second,
			[]tick{{3 * time.Second, true}}},
		{"all", "@every 1m", MissedAll, 0, 3*time.Minute + 2*time.Second,
			[]tick{{122 * time.Second, true}, {62 * time.Second, true}, {2 * time.Second, true}}},
		{"all, the latest on time", "@every 1m", MissedAll, 0, 3 * time.Minute,
			[]tick{{2 * time.Minute, true}, {time.Minute, true}, {0, false}}},
		{"all, from the deadline on", "@every 1m", MissedAll, 2 * time.Minute, time.Hour,
			[]tick{{2 * time.Minute, true}, {time.Minute, true}, {0, false}}},
		{"all, aligned to the last", "@every 7m", MissedAll, 20 * time.Minute, 2*time.Hour + 10*time.Minute,
			[]tick{{18 * time.Minute, true}, {11 * time.Minute, true}, {4 * time.Minute, true}}},
		{"all, past the deadline", "0 12 * * *", MissedAll, time.Hour, 47 * time.Hour, nil},
		{"all, by the calendar", "0 0 9 * * *", MissedAll, 2 * day, 3 * day, // the last tick was at 12:00
			[]tick{{27 * time.Hour, true}, {3 * time.Hour, true}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			run := func(context.Context, Tick) error { return nil }
			job, err := newJob(Job{
				Name: "job", Schedules: []string{test.schedule}, Run: run,
				Missed: test.missed, StartingDeadline: test.deadline,
			}, hclog.NewNullLogger())
			if err != nil {
				t.Fatal(err)
			}
			last := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
			now := last.Add(test.outage)
			var got []tick
			var decision tickDecision
			if latest := job.schedules.Latest(last, now); !latest.IsZero() {
				decision = job.decide(last, latest, now, clock.MissedAfter)
				if (len(decision.start) == 0) == decision.missed.IsZero() {
					t.Errorf("%+v: want the latest tick to be started or recorded as missed", decision)
				}
			}
			for _, d := range decision.start {
				got = append(got, tick{now.Sub(d.at), d.catchUp})
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("due -want +got\n%s", diff)
			}
		})
	}
}

func TestMissedTicksAreCapped(t *testing.T) {
	run := func(context.Context, Tick) error { return nil }
	job, err := newJob(Job{
		Name: "job", Schedules: []string{"* * * * * *"}, Run: run,
		Missed: MissedAll, StartingDeadline: 24 * time.Hour, MaxCatchUp: 100,
	}, hclog.NewNullLogger())
	if err != nil {
		t.Fatal(err)
	}
	last := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	now := last.Add(2 * time.Hour)
	due := job.decide(last, now, now, clock.MissedAfter).start
	if len(due) != 101 || !due[0].at.Equal(now.Add(-100*time.Second)) || due[100] != (dueTick{now, false}) {
		t.Errorf("got %d ticks from %s to %+v, want the latest 100 and the one on time", len(due), due[0].at,
			due[len(due)-1])
	}
}

func TestMissedOnceRunsOnce(t *testing.T) {
	run, ran := collecting()
	c := setupCron(t, run).seen()
	c.cron.Missed = MissedOnce
	c.clock.now = c.epoch.Add(10*time.Minute + 30*time.Second)
	c.lead(1)
	if got := pgtest.Within(t, "the missed tick", ran); !got.CatchUp ||
		!got.ScheduledAt.Equal(c.epoch.Add(10*time.Minute)) {
		t.Errorf("got %+v", got)
	}
	c.idle()
	if got := c.tick(11*time.Minute, ran); got.CatchUp || !got.ScheduledAt.Equal(c.epoch.Add(11*time.Minute)) {
		t.Errorf("got %+v", got)
	}
	c.quit()
	c.wantRuns(runRow{10 * time.Minute, "ok", ""}, runRow{11 * time.Minute, "ok", ""})
}

// While missed ticks are made up for, the next one waits for its turn. Only the one that comes due during an ordinary
// run is an overlap.
func TestMissedAllRunsOneAfterTheOther(t *testing.T) {
	run, started, outcome := blocking(t)
	c := setupCron(t, run).seen()
	c.cron.Missed = MissedAll
	c.clock.now = c.epoch.Add(2*time.Minute + 30*time.Second)
	c.lead(1)
	expect := func(minute int, catchUp bool) {
		t.Helper()
		got := pgtest.Within(t, "the tick", started)
		if got.CatchUp != catchUp || !got.ScheduledAt.Equal(c.epoch.Add(time.Duration(minute)*time.Minute)) {
			t.Errorf("got %+v, want minute %d, catch-up %t", got, minute, catchUp)
		}
		if len(started) > 0 {
			t.Errorf("two at a time")
		}
	}
	expect(1, true)
	c.at(3 * time.Minute)
	outcome <- nil
	expect(2, true)
	outcome <- nil
	expect(3, false)
	c.at(4 * time.Minute)
	outcome <- nil
	c.quit()
	c.wantRuns(
		runRow{time.Minute, "ok", ""}, runRow{2 * time.Minute, "ok", ""}, runRow{3 * time.Minute, "ok", ""},
		runRow{4 * time.Minute, "skipped", "the previous run was still going"},
	)
}

// The clocks of the replicas and of the server may differ: here this one is two hours ahead.
func TestNewJobMakesUpForNothing(t *testing.T) {
	run, ran := collecting()
	c := setupCron(t, run)
	c.cron.Missed, c.cron.StartingDeadline = MissedAll, 24*time.Hour
	c.epoch = time.Now().Add(2 * time.Hour).Truncate(time.Minute)
	c.clock.now = c.epoch.Add(30 * time.Second)
	if got := c.lead(1).tick(time.Minute, ran); got.CatchUp || !got.ScheduledAt.Equal(c.epoch.Add(time.Minute)) {
		t.Errorf("got %+v", got)
	}
	c.quit()
	c.wantRuns(runRow{time.Minute, "ok", ""})
}

func TestChangedScheduleMakesUpForNothing(t *testing.T) {
	for name, change := range map[string]func(*Job){
		"expression": func(c *Job) { c.Schedules = []string{"*/2 * * * *"} },
		"time zone":  func(c *Job) { c.Location = zone(t, "Asia/Kolkata") },
	} {
		t.Run(name, func(t *testing.T) {
			run, ran := collecting()
			c := setupCron(t, run).seen()
			c.clock.now = c.epoch.Add(5*time.Minute + 30*time.Second)
			c.cron.Missed = MissedAll
			change(&c.cron)
			if got := c.lead(1).tick(6*time.Minute, ran); got.CatchUp ||
				!got.ScheduledAt.Equal(c.epoch.Add(6*time.Minute)) {
				t.Errorf("got %+v", got)
			}
			c.quit()
			c.wantRuns(runRow{6 * time.Minute, "ok", ""})
			want := c.job.schedules.String()
			if got := pgtest.Value[string](t, c.pool, `select schedule from pgsolo.cron_job`); got != want {
				t.Errorf("schedule kept: %q, want %q", got, want)
			}
		})
	}
}
