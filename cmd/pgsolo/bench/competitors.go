package bench

import (
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
)

// competitors are processes that do nothing but compete, one of which leads. A sample ends the leader; then another one
// leads, and a new one joins.
type competitors struct {
	group
	args   []string
	leader *fleet.Process
	marks  chan mark // from the members' goroutines; never closed
}

// mark says that a member leads.
type mark struct {
	member *fleet.Process
	at     time.Time
}

// newCompetitors starts n of them, and returns when one leads and the others queue. The caller closes it.
func (r elections) newCompetitors(
	ctx context.Context, n int, pause time.Duration, args ...string,
) (*competitors, error) {
	g := &competitors{
		group: group{run: r.run, pause: pause, floor: slices.Contains(args, "--floor")},
		args:  append([]string{"bench", "competitor"}, args...),
		marks: make(chan mark, n),
	}
	if err := g.begin(ctx, n); err != nil {
		g.close()
		return nil, err
	}
	return g, nil
}

// newFloor starts three sessions in pg_advisory_lock.
func (r elections) newFloor(ctx context.Context) (*competitors, error) {
	return r.newCompetitors(ctx, 3, shortPause, "--floor")
}

func (c *competitors) begin(ctx context.Context, n int) error {
	for range n {
		if err := c.join(); err != nil {
			return err
		}
	}
	if _, err := c.next(ctx); err != nil {
		return err
	}
	return c.awaitQueue(ctx, len(c.members)-1)
}

func (c *competitors) join() error {
	member, err := c.start(fleet.Command{Args: c.args, Line: func(p *fleet.Process, line string) {
		if at, ok := readMark(line); ok {
			c.marks <- mark{p, at}
		}
	}})
	if err == nil {
		c.members = append(c.members, member)
	}
	return err
}

// next waits for the next leader.
func (c *competitors) next(ctx context.Context) (mark, error) {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("nobody has led for %s", patience))
	defer cancel()
	select {
	case m := <-c.marks:
		c.leader = m.member
		return m, nil
	case <-ctx.Done():
		return mark{}, c.withOutput(context.Cause(ctx))
	}
}

// takeOver ends the leader with a signal, and returns how long it took until another one led.
func (c *competitors) takeOver(ctx context.Context, signal os.Signal) (time.Duration, error) {
	old := c.leader
	began, err := c.signal(ctx, old, signal)
	if err != nil {
		return 0, err
	}
	m, err := c.next(ctx)
	if err != nil {
		return 0, err
	}
	c.remove(old)
	if err := c.join(); err != nil {
		return 0, err
	}
	return m.at.Sub(began), c.awaitQueue(ctx, len(c.members)-1)
}
