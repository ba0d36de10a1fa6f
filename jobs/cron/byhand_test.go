package cron

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// Whatever is done by hand to the history and the jobs while a leader lives and a run is under way, with another one
// behind it: the leader goes on with the ticks to come, and so does the next one, which starts none of the old again.
func TestRowsAreChangedByHand(t *testing.T) {
	for name, statement := range map[string]string{
		"history deleted":   `delete from pgsolo.cron_run`,
		"history truncated": `truncate pgsolo.cron_run`,
		"ended": `
			update pgsolo.cron_run set outcome = 'failed', finished_at = now(), error = 'by hand'`,
		"ended ever": `
			update pgsolo.cron_run set outcome = 'ok', finished_at = 'infinity', next_at = null`,
		"parked":               `update pgsolo.cron_run set outcome = 'retrying', next_at = 'infinity'`,
		"due since ever":       `update pgsolo.cron_run set outcome = 'retrying', next_at = '-infinity'`,
		"attempts":             `update pgsolo.cron_run set attempt = 2147483647`,
		"fewer attempts":       `update pgsolo.cron_run set attempt = -5`,
		"of another term":      `update pgsolo.cron_run set term = term + 100`,
		"another time":         `update pgsolo.cron_run set scheduled_at = scheduled_at - interval '1 year'`,
		"positions deleted":    `delete from pgsolo.cron_position`,
		"jobs deleted":         `delete from pgsolo.cron_job`,
		"decisions deleted":    `delete from pgsolo.cron_decision`,
		"position at no time":  `update pgsolo.cron_position set decided_to = '-infinity'`,
		"position beyond time": `update pgsolo.cron_position set decided_to = 'infinity'`,
		"begins at no time":    `update pgsolo.cron_job set last_at = '-infinity'`,
		"begins beyond time":   `update pgsolo.cron_job set last_at = 'infinity'`,
		"pruned beyond time":   `update pgsolo.cron_job set pruned_to = 'infinity'`,
		"another schedule":     `update pgsolo.cron_job set schedule = 'x'`,
		"paused, and not paused": `
			update pgsolo.cron_job set paused_at = 'infinity'; update pgsolo.cron_job set paused_at = null`,
		"the job is not enabled":  `update pgsolo.cron_job set enabled = false`,
		"the job of another term": `update pgsolo.cron_job set term = 1000`,
	} {
		for _, overlap := range []Overlap{OverlapQueue, OverlapAllow} {
			if name == "parked" && overlap == OverlapQueue {
				continue // the ticks to come wait for it
			}
			t.Run(name+", overlap "+string(overlap), func(t *testing.T) {
				t.Parallel()
				changeByHand(t, statement, overlap)
			})
		}
	}
}

func changeByHand(t *testing.T, statement string, overlap Overlap) {
	started, finish := make(chan Tick, 1000), make(chan struct{})
	c := setupCron(t, func(_ context.Context, tick Tick) error {
		started <- tick
		<-finish
		if tick.Attempt == 1 && overlap == OverlapAllow {
			return errors.New("fails") // and is to be retried
		}
		return nil
	}).seen()
	c.cron.Overlap, c.cron.OnInterrupt = overlap, InterruptRetry
	c.cron.Retry = jobs.Retry{Attempts: 2, Backoff: 24 * time.Hour, MaxBackoff: 24 * time.Hour}
	runs := func(from time.Duration) { // a tick from then on
		t.Helper()
		deadline := time.Now().Add(pgtest.Patience)
		for at := from; time.Now().Before(deadline); at += time.Minute {
			c.at(at)
			select {
			case tick := <-started:
				if !tick.ScheduledAt.Before(c.epoch.Add(from)) {
					return
				}
			case ended := <-c.ended:
				t.Fatalf("the leader has ended: %v", ended)
			case <-time.After(20 * time.Millisecond): // it was skipped, or waits for another one
			}
		}
		t.Fatal("no later tick runs")
	}
	c.lead(1)
	c.at(time.Minute)
	pgtest.Within(t, "the run", started)
	c.at(2 * time.Minute)
	c.exec(statement)
	c.notify()
	close(finish)
	runs(3 * time.Minute)
	c.exec(statement)
	c.quit()
	c.clock.move(c.clock.read().Add(30 * time.Second))
	c.lead(2)
	runs(c.clock.read().Truncate(time.Minute).Add(time.Minute).Sub(c.epoch))
	c.quit()
}

// The rows of the jobs are deleted under a leader: the next tick runs, the run under way goes on, and the rows come
// back.
func TestJobsAreDeletedUnderALeader(t *testing.T) {
	started, finish := make(chan Tick, 10), make(chan struct{})
	c := setupCron(t, func(ctx context.Context, tick Tick) error {
		started <- tick
		<-finish
		return ctx.Err()
	}).seen()
	c.cron.Overlap = OverlapAllow
	c.lead(1)
	c.at(time.Minute)
	pgtest.Within(t, "a run", started)
	c.exec(`delete from pgsolo.cron_job`)
	c.at(2 * time.Minute)
	if tick := pgtest.Within(t, "the next one", started); !tick.ScheduledAt.Equal(c.epoch.Add(2 * time.Minute)) {
		t.Errorf("tick %s", tick.ScheduledAt)
	}
	c.notify()
	pgtest.Eventually(t, "the rows", func() bool {
		return pgtest.Value[int](t, c.pool, `select count(*) from pgsolo.cron_job`) == 1
	})
	close(finish)
	pgtest.Eventually(t, "both to succeed", func() bool {
		return pgtest.Value[int](t, c.pool, `select count(*) from pgsolo.cron_run where outcome = 'ok'`) == 2
	})
	c.quit()
}
