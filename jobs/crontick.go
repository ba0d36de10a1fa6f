package jobs

import (
	"context"
	"errors"
)

var (
	errOverlap = errors.New("the previous run was still going")
	errExited  = errors.New("the function ended its goroutine")
)

// start writes the tick's row and then runs the tick, unless an earlier leader has started it.
func (t *cronTerm) start(ctx context.Context, tick dueTick) error {
	if t.held != nil && !t.held() {
		return nil // the context is about to end, and the next leader finds the tick
	}
	mine := false
	err := t.persist(ctx, "record tick", func(ctx context.Context) (err error) {
		mine, err = t.store.begin(ctx, tick.at, t.term)
		return err
	})
	if err != nil {
		return err
	}
	if !mine {
		t.logger.Debug("tick was started by an earlier leader", "scheduled_at", tick.at)
		return nil
	}
	t.logger.Debug("tick starts", "scheduled_at", tick.at, "catch_up", tick.catchUp)
	t.count(func(s *CronStats) { s.Started++; s.Running = true })
	done := make(chan struct{})
	t.running, t.done, t.failure = &tick, done, errExited // which remains if Run calls runtime.Goexit
	go func() {
		defer close(done)
		t.failure = attempt(ctx, t.Timeout, func(ctx context.Context) error {
			return t.Run(ctx, Tick{
				Job: t.Name, ScheduledAt: tick.at.In(t.Location), CatchUp: tick.catchUp, Attempt: 1, Term: t.term,
			})
		})
	}()
	return nil
}

// skip records that the tick came due during another one.
func (t *cronTerm) skip(ctx context.Context, tick dueTick) error {
	err := t.persist(ctx, "record skipped tick", func(ctx context.Context) error {
		return t.store.skip(ctx, tick.at, t.term, errOverlap.Error())
	})
	if err != nil {
		return err
	}
	t.logger.Debug("tick skipped", "scheduled_at", tick.at, "reason", errOverlap)
	t.count(func(s *CronStats) { s.Skipped++ })
	return nil
}

// finish takes note of how the running tick ended, and writes it. Once ctx has ended it gives that one short try: what it cannot
// write, the next leader records as interrupted.
func (t *cronTerm) finish(ctx context.Context) error {
	tick := *t.running
	result := t.conclude(ctx, tick, t.failure)
	write := func(ctx context.Context) error { return t.store.finish(ctx, tick.at, t.term, result) }
	if ctx.Err() == nil {
		err := t.persist(ctx, "record outcome", write)
		if err == nil || ctx.Err() == nil {
			return err
		}
	}
	last, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastOutcome)
	defer cancel()
	if err := write(last); err != nil {
		t.logger.Debug("last outcome not written", "scheduled_at", tick.at, "outcome", result.outcome, "error", err)
	}
	return nil
}

// conclude turns the end of the running tick into what is kept of it.
func (t *cronTerm) conclude(ctx context.Context, tick dueTick, failure error) runResult {
	result := runResult{outcome: outcomeOK}
	t.running, t.done = nil, nil
	if failure != nil {
		text := errorText(failure)
		result = runResult{outcomeFailed, &text}
		if ctx.Err() != nil {
			result.outcome = outcomeInterrupted
		}
	}
	t.count(func(s *CronStats) { s.conclude(result.outcome, t.now()) })
	t.log(tick, result, failure)
	return result
}

// log writes a line when the job begins to fail and when it succeeds again, and every panic's stack.
func (t *cronTerm) log(tick dueTick, result runResult, failure error) {
	if panicked, ok := errors.AsType[*panicError](failure); ok {
		t.logger.Error("cron job panicked", "scheduled_at", tick.at, "panic", panicked.value, "stack", string(panicked.stack))
	}
	switch {
	case result.outcome == outcomeFailed && !t.failing:
		t.failing = true
		t.logger.Warn("cron job fails", "scheduled_at", tick.at, "error", *result.failure)
	case result.outcome == outcomeOK && t.failing:
		t.failing = false
		t.logger.Info("cron job succeeds again", "scheduled_at", tick.at)
	default:
		t.logger.Debug("tick ended", "scheduled_at", tick.at, "outcome", result.outcome, "error", failure)
	}
}
