package cron

import (
	"fmt"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// What operators do to the history by hand.
var purges = map[string]string{
	"delete":        `delete from pgsolo.cron_run`,
	"truncate":      `truncate pgsolo.cron_run`,
	"delete latest": `delete from pgsolo.cron_run where scheduled_at = (select max(scheduled_at) from pgsolo.cron_run)`,
	"delete ok":     `delete from pgsolo.cron_run where outcome = 'ok'`,
	"delete one":    `delete from pgsolo.cron_run where job = 'job'`,
}

// The history was purged by hand: no tick runs again, and the next one does.
func TestPurgedHistory(t *testing.T) {
	for name, purge := range purges {
		for _, missed := range []Missed{MissedOnce, MissedAll} {
			for _, leads := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s/%s/leads=%t", name, missed, leads), func(t *testing.T) {
					run, started := calls(t)
					c := setupCron(t, run)
					c.cron.Missed = missed
					c.seen().lead(1)
					for m := 1 * minute; m <= 3*minute; m += minute {
						c.at(m)
						c.finish(c.next(started, m, 1), nil)
					}
					if leads {
						c.wantPosition(3 * minute) // folded
						c.exec(purge)
						c.at(3*minute + 10*time.Second)
						c.none(started)
					}
					c.quit()
					if !leads {
						c.exec(purge)
					}
					c.clock.move(c.epoch.Add(3*minute + 30*time.Second))
					c.leadNext().none(started)
					c.at(4 * minute)
					c.finish(c.next(started, 4*minute, 1), nil)
					c.quit()
				})
			}
		}
	}
}

// Ticks that were decided on without a start, or by making up for them, do not come again either.
func TestPurgedHistoryOfMissedTicks(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run)
	c.cron.Missed, c.cron.StartingDeadline = MissedOnce, time.Hour
	c.seen()
	c.clock.move(c.epoch.Add(10*minute + 30*time.Second))
	c.lead(1)
	c.finish(c.next(started, 10*minute, 1), nil)
	c.quit()
	c.exec(`truncate pgsolo.cron_run`)
	c.leadNext().none(started)
	c.quit()
}

// The run is under way while its row is deleted: its end changes nothing, and the next leader knows of the tick.
func TestPurgedDuringARun(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().retrying(3)
	c.cron.OnInterrupt = InterruptRetry
	c.lead(1).at(1 * minute)
	under := c.next(started, 1*minute, 1)
	c.exec(`delete from pgsolo.cron_run`)
	c.finish(under, nil)
	c.quit()
	c.leadNext().none(started)
	c.quit()
	c.wantRuns()
}

// What a leader of the version before has decided on stands in the history alone. The next claim takes it in.
func TestPositionAfterALeaderOfTheVersionBefore(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen()
	c.exec(`insert into pgsolo.cron_run (job, scheduled_at, term, outcome, attempt) values ('job', $1, 1, 'ok', 1)`,
		c.epoch.Add(1*minute))
	c.clock.move(c.epoch.Add(1*minute + 20*time.Second))
	c.lead(2).none(started)
	c.quit()
	c.exec(`delete from pgsolo.cron_run`)
	c.leadNext().none(started)
	c.quit()
}

// A position from an older dump, or none: the history counts, where it is newer. Where both are older, what they do not
// know comes again, within the starting deadline.
func TestRestoredPosition(t *testing.T) {
	const (
		position = `update pgsolo.cron_position set decided_to = decided_to - interval '2 minutes'`
		both     = `truncate pgsolo.cron_position, pgsolo.cron_decision`
		history  = `delete from pgsolo.cron_run where scheduled_at > '2026-03-01 12:01Z'`
	)
	for name, test := range map[string]struct {
		restore []string
		again   bool
	}{
		"older":                        {[]string{position}, false},
		"none":                         {[]string{both}, false},
		"older history":                {[]string{history}, false},
		"older, and so is the history": {[]string{position, history}, true},
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen().lead(1)
			for m := 1 * minute; m <= 3*minute; m += minute {
				c.at(m)
				c.finish(c.next(started, m, 1), nil)
			}
			c.quit()
			c.wantPosition(3 * minute)
			for _, statement := range test.restore {
				c.exec(statement)
			}
			c.leadNext()
			if test.again {
				c.finish(c.next(started, 3*minute, 1), nil)
			}
			c.none(started)
			c.quit()
			c.wantPosition(3 * minute)
		})
	}
}

// It is restored while a leader leads: the next tick puts it right.
func TestRestoredPositionWhileALeaderLeads(t *testing.T) {
	run, started := calls(t)
	c := setupCron(t, run).seen().lead(1).runsAt(started, 1*minute)
	c.exec(`update pgsolo.cron_position set decided_to = decided_to - interval '1 year'`)
	c.runsAt(started, 2*minute).wantPosition(2 * minute)
	c.exec(`truncate pgsolo.cron_run`)
	c.quit()
	c.leadNext().none(started)
	c.quit()
}

// The history was purged, and then a clock is behind the one of the leader before, or is set back.
func TestPurgedHistoryAndAnotherClock(t *testing.T) {
	for name, test := range map[string]struct {
		next time.Duration // the next leader's clock
		then time.Duration // and that one set back
	}{
		"behind":              {90 * time.Second, 0},
		"set back":            {200 * time.Second, 30 * time.Second},
		"behind and set back": {150 * time.Second, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen().lead(1)
			for m := 1 * minute; m <= 3*minute; m += minute {
				c.runsAt(started, m)
			}
			c.quit()
			c.exec(`truncate pgsolo.cron_run`)
			c.clock.move(c.epoch.Add(test.next))
			c.leadNext().none(started)
			if test.then > 0 {
				c.at(test.then)
				c.none(started)
			}
			for m := 2 * minute; m <= 3*minute; m += minute {
				c.at(m)
				c.none(started)
			}
			c.runsAt(started, 4*minute)
			c.quit()
		})
	}
}

// A clock that was ahead by hours leaves a position there. It keeps no tick from being started, and goes back with the
// next one.
func TestPositionOfAClockThatWasFarAhead(t *testing.T) {
	for _, purge := range []string{`select`, `truncate pgsolo.cron_run`} {
		t.Run(purge, func(t *testing.T) {
			run, started := calls(t)
			c := setupCron(t, run).seen().lead(1).runsAt(started, 1*minute).runsAt(started, 600*minute)
			c.quit()
			c.wantPosition(600 * minute)
			c.exec(purge)
			c.clock.move(c.epoch.Add(3*minute - 30*time.Second))
			c.leadNext()
			if purge == `select` { // the history says what was missed
				c.finish(c.next(started, 2*minute, 1), nil)
			}
			c.none(started)
			c.runsAt(started, 3*minute).wantPosition(3 * minute)
			c.quit()
		})
	}
}

// at2 moves the clock to a tick, which runs to its end.
func (c *cronTest) runsAt(started <-chan *call, after time.Duration) *cronTest {
	c.t.Helper()
	c.at(after)
	c.finish(c.next(started, after, 1), nil)
	return c
}

func (c *cronTest) wantPosition(after time.Duration) {
	c.t.Helper()
	if err := c.all.pruner(c.term).fold(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	want := c.epoch.Add(after)
	if got := pgtest.Value[time.Time](c.t, c.pool, `select decided_to from pgsolo.cron_position`); !got.Equal(want) {
		c.t.Errorf("decided to %s, want %s", got, want)
	}
}
