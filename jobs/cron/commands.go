package cron

import (
	"context"
	"fmt"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

// readCommands follows what was paused, resumed or triggered, if it is time to ask.
func (t *term) readCommands(ctx context.Context) error {
	if !t.inbox.Poll() {
		return nil
	}
	var commands rows.Commands
	err := persist(ctx, t, "look for commands", func(ctx context.Context) (err error) {
		commands, err = t.store.Commands(ctx, len(t.jobs)-len(t.held))
		return err
	})
	if err != nil {
		return err
	}
	if commands.Term != t.leadership.Term {
		return fmt.Errorf("the jobs are those of the leader of term %d: %w", commands.Term, jobs.ErrFenced)
	}
	if commands.Jobs != nil {
		if err := t.giveUpTaken(ctx, commands.Jobs); err != nil {
			return err
		}
	}
	if err := t.pauseAndResume(ctx, commands.Paused); err != nil {
		return err
	}
	for _, r := range commands.Triggered {
		if j, ok := t.byName[r.Job]; ok && !t.outbox.isOpen(j, r.At) { // or else it waits for its turn
			j.trigger(r)
			t.heap.wakeSoon(j)
		}
	}
	return nil
}

// pauseAndResume follows which jobs are paused.
func (t *term) pauseAndResume(ctx context.Context, paused map[string]bool) error {
	var resumed []string
	for _, j := range t.jobs {
		switch {
		case paused[j.Name] && !j.paused:
			j.logger.Info("job paused")
			j.paused = true
			t.heap.wakeSoon(j)
		case !paused[j.Name] && j.paused:
			resumed = append(resumed, j.Name)
		}
	}
	if len(resumed) == 0 {
		return nil
	}
	var since map[string]time.Time
	err := persist(ctx, t, "look for the end of pauses", func(ctx context.Context) (err error) {
		since, err = t.store.Resumed(ctx, resumed)
		return err
	})
	if err != nil {
		return err
	}
	now := t.clock.Now()
	for name, at := range since {
		j := t.byName[name]
		j.resume(at, now)
		t.heap.wakeSoon(j)
	}
	return nil
}

// resume ends a pause. at is up to when ticks were those of the pause, by the server's clock.
func (j *jobTerm) resume(at, now time.Time) {
	j.logger.Info("job resumed")
	j.paused = false
	if at.After(now) {
		at = now
	}
	if at = at.Add(-j.delay); at.After(j.last) {
		j.last = at
	}
	j.next = j.schedules.Next(j.last)
}

// How many manual runs of a job, and of all jobs of a leader, may have started while another one is triggered that
// is to start beside them: each may be a program, and an operator's loop is not to cost the leadership. trigger_job
// refuses more forced ones, as far as it sees others.
const (
	MaxForced      = 10
	MaxForcedInAll = 100
)

var errManual = fmt.Errorf("%d manual runs of the job, or %d of all jobs, were under way", MaxForced, MaxForcedInAll)

// trigger takes in a manual run, whose row is queued: it is started, or what the overlap policy says.
func (j *jobTerm) trigger(triggered rows.Triggered) {
	r := newRun(j, triggered.At, rows.Manual)
	r.forced = triggered.Forced
	j.outbox.track(r)
	j.logger.Info("job triggered", "scheduled_at", r.row.At, "forced", r.forced)
	if j.clock.Now().Before(j.heldUntil) {
		j.queue = append(j.queue, r)
		return
	}
	beside := j.newcomer()
	beside.forced = r.forced
	switch j.Overlap.decide(beside) {
	case starts:
		if ofJob, all := j.outbox.manual(j); beside.running > 0 && (ofJob >= MaxForced || all >= MaxForcedInAll) {
			j.logger.Warn("too many manual runs are under way for another one", "scheduled_at", r.row.At,
				"of_this_job", ofJob, "of_all", all)
			j.outbox.close(r, rows.Skipped, errManual.Error())
			return
		}
		j.start(r)
	case replaces:
		j.replaceAll(r.row.At)
		j.queue = append(j.queue, r)
	case waits:
		j.queue = append(j.queue, r)
	case skips:
		j.outbox.close(r, rows.Skipped, errOverlap.Error())
	}
}
