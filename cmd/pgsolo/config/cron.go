package config

import (
	"context"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/jobs"
)

func (doc *document) cron(found *hclsyntax.Block) body {
	job := defaultCron(label(found))
	zone, missed := "UTC", string(job.Missed)
	var (
		election string
		chosen   actions
	)
	return body{
		arguments: []argument{
			{name: "schedule", required: true, example: `schedule = "*/5 * * * *"`, decode: doc.text(&job.Schedule, checkSchedule)},
			{name: "election", decode: doc.text(&election, doc.checkElection)},
			{name: "time_zone", decode: doc.text(&zone, checkZone)},
			{name: "missed", decode: doc.text(&missed, oneOf(string(jobs.MissedSkip), string(jobs.MissedOnce), string(jobs.MissedAll)))},
			{name: "starting_deadline", decode: doc.duration(&job.StartingDeadline, positive)},
			{name: "timeout", decode: doc.duration(&job.Timeout, positive)},
		},
		blocks: doc.actionBlocks(&chosen, unknownTick()),
		finish: func() {
			doc.taken.add(&doc.decoder, found)
			action := doc.oneAction(found, chosen)
			if location, err := time.LoadLocation(zone); err == nil {
				job.Location = location // checkZone has refused those that do not load
			}
			job.Missed = jobs.Missed(missed)
			job.Run = func(ctx context.Context, tick jobs.Tick) error {
				run, err := action.resolve(doc.config.ActionLogger, func() scope { return tickScope(tick) })
				if err != nil {
					return err
				}
				return run(ctx, tick.Invocation())
			}
			to := doc.electionOf(election)
			to.Crons = append(to.Crons, job)
		},
	}
}
