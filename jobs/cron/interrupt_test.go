package cron

import (
	"context"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestInterrupted(t *testing.T) {
	for name, test := range map[string]struct {
		policy  OnInterrupt
		end     func(*cronTest)
		want    string // the error in the row
		retried bool
	}{
		"killed, abandon":    {InterruptAbandon, (*cronTest).crash, "the leader of term 1 was gone", false},
		"killed, retry":      {InterruptRetry, (*cronTest).crash, "", true},
		"cancelled, abandon": {InterruptAbandon, (*cronTest).die, "context canceled", false},
		"cancelled, retry":   {InterruptRetry, (*cronTest).die, "", true},
		"drained, retry":     {InterruptRetry, (*cronTest).stopAndDie, "", true},
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run)
			c.cron.Schedules, c.cron.OnInterrupt = []string{"1 12 * * *"}, test.policy
			c.seen().lead(1).at(1 * minute)
			c.next(started, 1*minute, 1)
			test.end(c)
			c.leadNext()
			want := attemptRow{1 * minute, "schedule", "interrupted", 1, test.want}
			if test.retried {
				again := c.next(started, 1*minute, 2)
				if again.Term != c.term {
					t.Errorf("term %d, want %d", again.Term, c.term)
				}
				c.finish(again, nil)
				want = attemptRow{1 * minute, "schedule", "ok", 2, ""}
			}
			c.none(started)
			c.quit()
			c.wantAttempts(want)
		})
	}
}

// stopAndDie cancels the leader, as if its drain had taken too long.
func (c *cronTest) stopAndDie() {
	c.t.Helper()
	close(c.stop)
	c.die()
}

// A run that was done all the same is not started again.
func TestInterruptedRunThatSucceeds(t *testing.T) {
	for _, policy := range []OnInterrupt{InterruptAbandon, InterruptRetry} {
		t.Run(string(policy), func(t *testing.T) {
			started := make(chan *call, 1)
			c := setupCron(t, func(ctx context.Context, tick Tick) error {
				started <- &call{Tick: tick}
				<-ctx.Done()
				return nil
			}).seen()
			c.cron.OnInterrupt = policy
			c.lead(1).at(1 * minute)
			c.next(started, 1*minute, 1)
			c.die()
			c.leadNext().none(started)
			c.quit()
			c.wantAttempts(attemptRow{1 * minute, "schedule", "ok", 1, ""})
		})
	}
}

// It may be what kills its leaders.
func TestInterruptedAgainAndAgain(t *testing.T) {
	for name, test := range map[string]struct {
		attempt, retries int
		again            bool
	}{
		"nine times":             {9, 1, true},
		"ten times":              {10, 1, false},
		"ten times of eleven":    {10, 11, true},
		"eleven times of eleven": {11, 11, false},
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen().retrying(test.retries)
			c.cron.OnInterrupt = InterruptRetry
			c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, attempt) values ('job', $1, 1, $2)`, c.epoch,
				test.attempt)
			c.lead(2)
			want := attemptRow{0, "schedule", "interrupted", test.attempt, "the leader of term 1 was gone"}
			if test.again {
				c.finish(c.next(started, 0, test.attempt+1), nil)
				want = attemptRow{0, "schedule", "ok", test.attempt + 1, ""}
			}
			c.none(started)
			c.quit()
			c.wantAttempts(want)
		})
	}
}

// A leader that was killed may have left the end of a run unwritten after it had begun the next one.
func TestTwoInterruptedRunsDoNotOverlap(t *testing.T) {
	for _, overlap := range []Overlap{OverlapSkip, OverlapQueue, OverlapReplace} {
		t.Run(string(overlap), func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen()
			c.cron.OnInterrupt, c.cron.Overlap = InterruptRetry, overlap
			c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term)
				values ('job', $1, 1), ('job', $1::timestamptz - interval '1 minute', 1)`, c.epoch)
			c.lead(2)
			first := pgtest.Within(t, "one of the two", started)
			c.none(started)
			c.finish(first, nil)
			if overlap != OverlapReplace ||
				pgtest.Value[bool](t, c.pool, `select exists (select from pgsolo.cron_run where finished_at is null)`) {
				c.finish(pgtest.Within(t, "the other one", started), nil)
			}
			c.quit()
			if open := pgtest.Value[int](t, c.pool,
				`select count(*) from pgsolo.cron_run where outcome in ('retrying', 'queued', 'running')`); open > 0 {
				t.Errorf("%d runs are left open", open)
			}
		})
	}
}
