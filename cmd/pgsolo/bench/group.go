package bench

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
)

// start runs this program against the bench's database. What it writes to its standard error is kept for complaints.
func (r *run) start(c fleet.Command) (*fleet.Process, error) {
	const outputKept = 2000 // bytes
	c.Env, c.Keep = append(c.Env, "DATABASE_URL="+r.url), outputKept
	return fleet.Start(c)
}

// group is a number of processes of which one leads.
type group struct {
	*run
	pause   time.Duration // before a sample: up to this, so that it falls anywhere between two pings
	floor   bool          // they compete for the floor's lock
	members []*fleet.Process
}

// shortPause is enough where pings make no difference.
const shortPause = 20 * time.Millisecond

// awaitQueue waits until that many of them are in the lock's queue.
func (g *group) awaitQueue(ctx context.Context, standbys int) error {
	const countQueue = `select count(*) from pg_locks where locktype = 'advisory' and not granted
		and database = (select oid from pg_database where datname = $1) and (classid = $2::bigint::oid) = $3`
	return g.withOutput(await(ctx, "the standbys to queue", func(ctx context.Context) (bool, error) {
		var queued int
		err := g.admin.QueryRow(ctx, countQueue, g.own.Config().Database, floorClass, g.floor).Scan(&queued)
		return queued == standbys, err
	}))
}

// signal sends a signal after the pause, and returns when.
func (g *group) signal(ctx context.Context, to *fleet.Process, signal os.Signal) (time.Time, error) {
	select {
	case <-ctx.Done():
		return time.Time{}, ctx.Err()
	case <-time.After(rand.N(g.pause)):
	}
	began := time.Now()
	if err := to.Signal(signal); err != nil {
		return began, g.withOutput(fmt.Errorf("signal the leader: %w", err))
	}
	return began, nil
}

// remove kills a member that leads no more: it may be frozen, or on its way out.
func (g *group) remove(old *fleet.Process) {
	old.Close()
	g.members = slices.DeleteFunc(g.members, func(p *fleet.Process) bool { return p == old })
}

// withOutput adds to an error what the members wrote to their standard error.
func (g *group) withOutput(err error) error {
	if err == nil {
		return nil
	}
	for _, m := range g.members {
		if text := m.Output(); text != "" {
			err = errors.Join(err, errors.New(text))
		}
	}
	return err
}

// close kills all members.
func (g *group) close() {
	for _, m := range g.members {
		_ = m.Kill()
	}
	for _, m := range g.members {
		m.Close()
	}
}
