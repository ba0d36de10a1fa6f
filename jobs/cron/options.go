package cron

import (
	"cmp"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// Options say what a Scheduler runs. Pool is required; New names the field that is wrong. jobs.Migrate has to have made
// the tables.
type Options struct {
	// Pool serves the statements. All jobs together use two connections at a time, of which they keep one, unless it is
	// shared. Where there are fewer, they take turns. Where the successor of a leader waits for the end of its
	// sessions, as that of package election does, they need the name that it waits for. Where the tables may have row
	// security, let AfterConnect set row_security = off, as for eventlog.
	Pool   *pgxpool.Pool
	Shared bool // Pool also serves other schedulers

	Schema string // where jobs.Migrate made the tables; default jobs.DefaultSchema
	Group  string // differs between schedulers in one schema that run different jobs; default "main"
	Jobs   []Job

	// ForgetAfter is how long the group has to be led without a job that an earlier leader had, until that begins anew
	// when it comes back: an older configuration may lead for a moment during a deploy. Until then what was missed is
	// made up for, as Missed says, and its runs go on. Time in which nobody leads does not count. Default
	// jobs.DefaultForgetAfter, that is 24 h; jobs.ForgetAtOnce: no time.
	ForgetAfter time.Duration

	// Subscribe connects a channel of NOTIFY with the scheduler, which announces that a job was paused, resumed or
	// triggered. Without it the database is asked twice a second instead of every ten seconds.
	Subscribe func(channel string) (jobs.Subscription, error)

	Logger hclog.Logger // default: none
}

// withDefaults checks the options but for their jobs, and fills in what was left out.
func (o Options) withDefaults() (Options, error) {
	o.Schema = cmp.Or(o.Schema, jobs.DefaultSchema)
	o.Group = cmp.Or(o.Group, "main")
	if o.Logger == nil {
		o.Logger = hclog.NewNullLogger()
	}
	if err := o.check(); err != nil {
		return o, fmt.Errorf("jobs: %w", err)
	}
	return o, nil
}

func (o Options) check() error {
	if o.Pool == nil {
		return jobs.NewFieldError("Pool", "is required")
	}
	if pg.GivesText(o.Pool) {
		return jobs.NewFieldError("Pool", "has DefaultQueryExecMode exec or simple_protocol; want another one")
	}
	if !pg.SchemaName.MatchString(o.Schema) {
		return jobs.NewFieldError("Schema", "%q: want lower-case letters, digits and underscores, at most 40", o.Schema)
	}
	if err := text.Check(o.Group); err != nil {
		return jobs.NewFieldError("Group", "has %w", err)
	}
	return nil
}
