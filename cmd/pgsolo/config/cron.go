package config

import (
	"context"
	"math"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

func (doc *document) cron(found *hclsyntax.Block) body {
	job := defaultCron(label(found))
	var (
		election    string
		chosen      actions
		zone        = "UTC"
		enabled     = true
		missed      = string(job.Missed)
		overlap     = string(job.Overlap)
		onInterrupt = string(job.OnInterrupt)
	)
	return body{
		arguments: []argument{
			{name: "schedule", required: true, example: `schedule = "*/5 * * * *"`, decode: doc.schedules(&job.Schedules)},
			{name: "election", decode: doc.text(&election, doc.checkElection)},
			{name: "time_zone", decode: doc.text(&zone, checkZone)},
			{name: "enabled", decode: doc.boolean(&enabled)},
			{name: "jitter", decode: doc.duration(&job.Jitter, positive)},
			{name: "missed", decode: doc.text(&missed, oneOf(string(cron.MissedSkip), string(cron.MissedOnce), string(cron.MissedAll)))},
			{name: "max_catch_up", decode: doc.count(&job.MaxCatchUp)},
			{name: "starting_deadline", decode: doc.duration(&job.StartingDeadline, positive)},
			{name: "overlap", decode: doc.text(&overlap, oneOf(string(cron.OverlapSkip), string(cron.OverlapQueue),
				string(cron.OverlapReplace), string(cron.OverlapAllow)))},
			{name: "on_interrupt", decode: doc.text(&onInterrupt, oneOf(string(cron.InterruptAbandon), string(cron.InterruptRetry)))},
			{name: "timeout", decode: doc.duration(&job.Timeout, positive)},
		},
		blocks: append([]block{
			{kind: "retry", single: true, open: func(found *hclsyntax.Block) body {
				job.Retry = defaultLogHandler().Retry
				return doc.retry(found, &job.Retry)
			}},
			{kind: "history", single: true, open: func(*hclsyntax.Block) body { return doc.history(&job.History) }},
		}, doc.actionBlocks(&chosen, unknownTick())...),
		finish: func() {
			doc.taken.add(&doc.decoder, found)
			action := doc.oneAction(found, chosen)
			if location, err := time.LoadLocation(zone); err == nil {
				job.Location = location // checkZone has refused those that do not load
			}
			job.Disabled = !enabled
			job.Missed, job.Overlap, job.OnInterrupt = cron.Missed(missed), cron.Overlap(overlap), cron.OnInterrupt(onInterrupt)
			doc.checkCatchUp(found, job)
			doc.checkJitter(found, job)
			to := doc.electionOf(election)
			to.NeedsSessions = to.NeedsSessions || action.needsSession()
			job.Run = func(ctx context.Context, tick cron.Tick) error {
				bound, err := action.resolve(to, func() scope { return tickScope(tick) })
				if err != nil {
					return err
				}
				return bound.run()(ctx, tick.Invocation())
			}
			to.Crons = append(to.Crons, job)
			doc.config.crons = append(doc.config.crons, job)
		},
	}
}

// checkCatchUp refuses a bound on the ticks that are made up for where at most one is.
func (doc *document) checkCatchUp(found *hclsyntax.Block, job cron.Job) {
	attr, ok := found.Body.Attributes["max_catch_up"]
	if !ok || job.Missed == cron.MissedAll {
		return
	}
	diag := doc.report("Invalid max_catch_up", attr.NameRange,
		`With missed = %q at most one missed tick is made up for. Remove the argument, or set missed = "all".`, job.Missed)
	if other, ok := found.Body.Attributes["missed"]; ok {
		diag.Extra = related{"the policy", other.SrcRange}
	}
}

// checkJitter refuses a jitter with which a tick could start after the time of the next one.
func (doc *document) checkJitter(found *hclsyntax.Block, job cron.Job) {
	attr, ok := found.Body.Attributes["jitter"]
	if !ok || job.Jitter == 0 || len(job.Schedules) == 0 {
		return
	}
	if shortest := shortestDistance(job.Schedules); job.Jitter > shortest {
		diag := doc.report("Invalid jitter", attr.Expr.Range(),
			"Two ticks of the schedule are %s apart, and the first one could start after the second is due. Use at most %s.",
			shortest, shortest)
		if schedule, ok := found.Body.Attributes["schedule"]; ok {
			diag.Extra = related{"the schedule", schedule.SrcRange}
		}
	}
}

// shortestDistance is the time between the two neighbours that are nearest to each other among the first ticks of a year.
func shortestDistance(expressions []string) time.Duration {
	shortest := time.Duration(math.MaxInt64)
	schedules, err := schedule.ParseAll(expressions, time.UTC)
	if err != nil {
		return shortest
	}
	begin := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC)
	at := schedules.Next(begin.Add(-1))
	for range 64 {
		next := schedules.Next(at)
		shortest = min(shortest, next.Sub(at))
		if next.Sub(begin) > 366*24*time.Hour {
			break
		}
		at = next
	}
	return shortest
}
