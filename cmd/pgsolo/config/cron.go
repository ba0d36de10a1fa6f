package config

import (
	"math"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

func (doc *document) cron(found *hclsyntax.Block) block.Body {
	job := Cron{Job: cron.Job{Name: block.Label(found)}}
	var (
		election string
		actions  []*action
		enabled  = true
	)
	grammar := block.Body{
		Arguments: []block.Argument{
			{Name: "schedule", Required: true, Example: `schedule = "*/5 * * * *"`, Value: schedules(&job.Schedules)},
			{Name: "election", Value: block.String(&election, doc.checkElection)},
			{Name: "time_zone", Value: zone(&job.Location)},
			{Name: "enabled", Value: block.Boolean(&enabled)},
			{Name: "jitter", Value: block.Duration(&job.Jitter, block.Positive)},
			{Name: "missed", Value: block.Word(&job.Missed, cron.MissedSkip, cron.MissedOnce, cron.MissedAll)},
			{Name: "max_catch_up", Value: block.Count(&job.MaxCatchUp)},
			{Name: "starting_deadline", Value: block.Duration(&job.StartingDeadline, block.Positive)},
			{Name: "overlap", Value: block.Word(&job.Overlap, cron.Overlaps()...)},
			{Name: "on_interrupt", Value: block.Word(&job.OnInterrupt, cron.InterruptAbandon, cron.InterruptRetry)},
			{Name: "timeout", Value: block.Duration(&job.Timeout, block.Positive)},
		},
		Blocks: append([]block.Block{
			{Kind: "retry", Single: true,
				Open: func(found *hclsyntax.Block) block.Body { return doc.retry(found, &job.Retry) }},
			{Kind: "history", Single: true, Open: func(*hclsyntax.Block) block.Body { return history(&job.History) }},
		}, doc.actionBlocks(&actions, unknownTick())...),
	}
	grammar.Finish = func() {
		job.Disabled = !enabled
		job.Job = job.WithDefaults()
		job.Revision = block.Fingerprint(doc.src, found)
		doc.taken.Add(doc.Decoder, found)
		job.action = doc.oneAction(found, grammar, actions)
		doc.checkCatchUp(found, job.Job)
		doc.checkJitter(found, job.Job)
		to := doc.electionOf(election)
		to.NeedsSessions = to.NeedsSessions || job.action.needsSession()
		to.Crons = append(to.Crons, job)
		doc.config.crons = append(doc.config.crons, job.Job)
	}
	return grammar
}

// checkCatchUp refuses a bound on the ticks that are made up for where at most one is.
func (doc *document) checkCatchUp(found *hclsyntax.Block, job cron.Job) {
	attr, ok := found.Body.Attributes["max_catch_up"]
	if !ok || job.Missed == cron.MissedAll {
		return
	}
	diag := doc.Report("Invalid max_catch_up", attr.NameRange,
		`With missed = %q at most one missed tick is made up for. Remove the argument, or set missed = `+
			`"all".`, job.Missed)
	if other, ok := found.Body.Attributes["missed"]; ok {
		diag.Extra = block.Related("the policy", other.SrcRange)
	}
}

// checkJitter refuses a jitter with which a tick could start after the time of the next one.
func (doc *document) checkJitter(found *hclsyntax.Block, job cron.Job) {
	attr, ok := found.Body.Attributes["jitter"]
	if !ok || job.Jitter == 0 || len(job.Schedules) == 0 {
		return
	}
	if shortest := shortestDistance(job.Schedules); job.Jitter > shortest {
		diag := doc.Report("Invalid jitter", attr.Expr.Range(),
			"Two ticks of the schedule are %s apart, and the first one could start after the second is due. Use at "+
				"most %s.",
			shortest, shortest)
		if schedule, ok := found.Body.Attributes["schedule"]; ok {
			diag.Extra = block.Related("the schedule", schedule.SrcRange)
		}
	}
}

// shortestDistance is the time between the two neighbours that are nearest to each other among the first ticks of a
// year.
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
