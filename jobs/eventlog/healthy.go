package eventlog

import (
	"context"
	"fmt"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Healthy says whether every loop of the handlers has moved lately, while Run runs. A leader that it names should give up.
func (r *Runner) Healthy() error {
	for _, c := range r.consumers {
		if err := c.pulse.Check(fmt.Sprintf("the loop of handler %q", c.Name)); err != nil {
			return err
		}
	}
	return r.poll.Pulse.Check("the poll of the event log")
}

func (c *consumer) persist(ctx context.Context, what string, do func(context.Context) error) error {
	return pg.Persist(ctx, c.logger, what, c.pulse.During(do))
}
