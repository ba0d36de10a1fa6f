package demo

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5"
)

type leader struct {
	term  int64
	pid   int
	since time.Time
}

// takeover is one change of leaders after a kill: how long until the next one had its term, and until its first event
// arrived.
type takeover struct {
	term                   int64
	killedAt               time.Time
	untilTerm, untilHandle time.Duration // untilHandle: 0 until it is known
}

// watch follows the leader row and keeps the screen up to date.
func (d *demo) watch(ctx context.Context, conn *pgx.Conn, fail func(error)) {
	ticker := time.NewTicker(watchEvery)
	defer ticker.Stop()
	for {
		if err := d.observe(context.WithoutCancel(ctx), conn); err != nil {
			fail(err)
			return
		}
		if d.screen.due() {
			d.screen.draw(d.snapshot())
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// observe reads the leader row, whose since is from the clock of this same machine.
func (d *demo) observe(ctx context.Context, conn *pgx.Conn) error {
	const selectLeader = `select term, split_part(holder, '/', -1)::int, since,
			array(select scheduled_at from pgsolo.cron_run where outcome = 'interrupted')
		from pgsolo.leader where term > 0`
	var (
		now    leader
		cutOff []time.Time
	)
	err := conn.QueryRow(ctx, selectLeader).Scan(&now.term, &now.pid, &now.since, &cutOff)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read leader row: %w", err)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if now.term > d.leader.term && !d.killedAt.IsZero() {
		d.takeovers = append(d.takeovers, takeover{
			term: now.term, killedAt: d.killedAt, untilTerm: now.since.Sub(d.killedAt),
		})
		d.killedAt = time.Time{}
	}
	if d.leader.term == 0 {
		close(d.led)
	}
	d.leader, d.cutOff = now, cutOff
	if n := len(d.takeovers); n > 0 && d.takeovers[n-1].untilHandle == 0 {
		last := &d.takeovers[n-1]
		if at := d.firstEvent(last.term); !at.IsZero() {
			last.untilHandle = at.Sub(last.killedAt)
		}
	}
	return nil
}

// killLeaders kills the leader every now and then, provided that the last takeover is over.
func (d *demo) killLeaders(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-time.After(killEvery - killEvery/6 + rand.N(killEvery/3)):
		}
		d.killLeader()
	}
}

func (d *demo) killLeader() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, m := range d.members {
		if pid := m.pid(); pid != 0 && pid == d.leader.pid && d.killedAt.IsZero() {
			d.witness.Killing(d.leader.term)
			d.killedAt = time.Now()
			m.kill()
			return
		}
	}
}
