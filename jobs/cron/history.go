package cron

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// The history is pruned this often: of a job with new runs, once a tenth of what is kept of it has been added, and
	// of all jobs, because of their age, each pruneAllEvery.
	pruneEvery    = 5 * time.Second
	pruneAllEvery = time.Hour

	// Jobs that were removed from the configuration keep what is younger than this.
	forgottenFor = 90 * 24 * time.Hour
)

// pruner removes what the history has too much, beside the goroutine of the term. What goes wrong is logged: a history
// that grows is no reason to give up a leadership.
type pruner struct {
	store  rows.Store
	term   int64
	jobs   []*job
	now    func() time.Time
	logger hclog.Logger
}

func (s *Scheduler) pruner(term int64) *pruner {
	return &pruner{s.store, term, s.jobs, s.now, s.logger}
}

// run prunes until ctx is done.
func (p *pruner) run(ctx context.Context) {
	timer := time.NewTicker(pruneEvery)
	defer timer.Stop()
	nextOfAll := time.Now() // the first pass is one of all
	for failing := false; ; {
		select {
		case <-ctx.Done():
			return
		case <-timer.C:
		}
		all := !time.Now().Before(nextOfAll)
		err := p.prune(ctx, all)
		if all && err == nil {
			nextOfAll = time.Now().Add(pruneAllEvery)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil && !failing:
			p.logger.Error("history not pruned, and grows", "error", err)
		case err == nil && failing:
			p.logger.Info("history is pruned again")
		}
		failing = err != nil
	}
}

// prune makes one pass: over all jobs and those that were removed, or over the jobs that may have too much.
func (p *pruner) prune(ctx context.Context, all bool) error {
	err := errors.Join(p.fold(ctx), p.closeForgotten(ctx), p.pruneJobs(ctx, p.toPrune(all)))
	if err != nil || !all {
		return err
	}
	return p.pruneForgotten(ctx)
}

// toPrune returns the jobs whose history may have too much.
func (p *pruner) toPrune(all bool) (due []*job) {
	for _, j := range p.jobs {
		enough := max(1, min(nonNegative(j.History.Runs), nonNegative(j.History.FailedRuns))/10)
		if (all || j.ended.Load() >= int64(enough)) && j.stats().HeldBy == "" {
			due = append(due, j)
		}
	}
	return due
}

func nonNegative(n int) int {
	if n < 0 {
		return 1 << 30
	}
	return n
}

func (p *pruner) pruneJobs(ctx context.Context, due []*job) error {
	const page = 500
	for len(due) > 0 {
		jobs := due[:min(page, len(due))]
		due = due[len(jobs):]
		if err := p.prunePage(ctx, jobs); err != nil {
			return err
		}
	}
	return nil
}

func (p *pruner) prunePage(ctx context.Context, jobs []*job) error {
	n, now := len(jobs), p.now()
	kept, ended := make([]rows.Retention, n), make([]int64, n)
	for i, j := range jobs {
		ended[i] = j.ended.Load() // what ends from here on is for the next pass
		kept[i] = j.retention(now)
	}
	err := pg.Try(ctx, func(ctx context.Context) error { return p.store.Prune(ctx, kept, now) })
	if err != nil {
		return fmt.Errorf("prune history of %d jobs from %q on: %w", n, kept[0].Job, err)
	}
	for i, j := range jobs {
		j.ended.Add(-ended[i])
	}
	return nil
}

func (p *pruner) fold(ctx context.Context) error {
	err := pg.Try(ctx, func(ctx context.Context) error { return p.store.Fold(ctx, p.term, p.now()) })
	if err != nil {
		return fmt.Errorf("fold decisions on ticks: %w", err)
	}
	return nil
}

func (p *pruner) closeForgotten(ctx context.Context) error {
	err := pg.Try(ctx, func(ctx context.Context) error { return p.store.CloseForgotten(ctx, p.now()) })
	if err != nil {
		return fmt.Errorf("close runs of removed jobs: %w", err)
	}
	return nil
}

func (p *pruner) pruneForgotten(ctx context.Context) error {
	err := pg.Try(ctx, func(ctx context.Context) error {
		return p.store.PruneForgotten(ctx, p.now().Add(-forgottenFor))
	})
	if err != nil {
		return fmt.Errorf("prune history of removed jobs: %w", err)
	}
	return nil
}

// retention is what is kept of the history of the job as of now.
func (j *job) retention(now time.Time) rows.Retention {
	h := j.History
	return rows.Retention{
		Job:  j.Name,
		Runs: int64(nonNegative(h.Runs)), Since: since(h.MaxAge, now),
		FailedRuns: int64(nonNegative(h.FailedRuns)), FailedSince: since(h.FailedMaxAge, now),
	}
}

func since(age time.Duration, now time.Time) time.Time {
	if age < 0 {
		return time.Unix(0, 0)
	}
	return now.Add(-age)
}
