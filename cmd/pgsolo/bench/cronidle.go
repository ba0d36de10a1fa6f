package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"time"

	"github.com/jackc/pgx/v5"
)

// idleShares are in percent of one core.
type idleShares struct {
	client, server float64
	known          bool // the server's is
}

// measureIdle watches the floor's leader, which has one job, and then that of many.
func (c *crons) measureIdle(ctx context.Context) error {
	const figure = "cron_idle"
	var shares []idleShares
	for i, n := range []int{1, c.sizes.crons} {
		c.progress.step(figure, i+1, 2)
		s, err := c.watchIdleCrons(ctx, n)
		if err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
		shares = append(shares, s)
	}
	one, many := shares[0], shares[1]
	figures := []Figure{newFigure(figure, "%", []float64{many.client}, nonzero(one.client), atMost("max", 1))}
	if many.known {
		figures = append(figures, newFigure(figure+"_server", "%", []float64{many.server}, nonzero(one.server)))
	}
	return c.report(figures...)
}

// nonzero is a floor of one sample, or none if it was too little to be seen.
func nonzero(sample float64) []float64 {
	if sample == 0 {
		return nil
	}
	return []float64{sample}
}

// watchIdleCrons has a leader of n jobs, of which none starts. Nothing else happens in this process meanwhile.
func (c *crons) watchIdleCrons(ctx context.Context, n int) (s idleShares, err error) {
	l, err := c.newCronLeader(ctx, sameJobs(n, yearly, doNothing))
	if err != nil {
		return s, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	if err := elapse(ctx, c.sizes.cronWatch/10); err != nil { // it has just taken over the jobs
		return s, err
	}
	runtime.GC() // what others have left
	before, err := c.sessionTimes(ctx)
	if err != nil {
		return s, err
	}
	began, client := time.Now(), ownTime()
	if err := elapse(ctx, c.sizes.cronWatch); err != nil {
		return s, err
	}
	took, client := time.Since(began), ownTime()-client
	after, err := c.sessionTimes(ctx)
	if err != nil {
		return s, err
	}
	var server time.Duration
	for pid, spent := range after {
		server += spent - before[pid] // a session that is new began with nothing
		s.known = s.known || spent > 0
	}
	s.client, s.server = 100*client.Seconds()/took.Seconds(), 100*server.Seconds()/took.Seconds()
	return s, l.broken()
}

// sessionTimes are the processor times of all sessions but the bench's own, by process.
func (c *crons) sessionTimes(ctx context.Context) (map[int]time.Duration, error) {
	const selectSessions = `select pid from pg_stat_activity
		where datname = $1 and backend_type = 'client backend' and application_name <> $2`
	rows, err := c.admin.Query(ctx, selectSessions, c.own.Config().Database, ownName)
	if err != nil {
		return nil, fmt.Errorf("find the leader's sessions: %w", err)
	}
	pids, err := pgx.CollectRows(rows, pgx.RowTo[int])
	if err != nil {
		return nil, fmt.Errorf("find the leader's sessions: %w", err)
	}
	spent := map[int]time.Duration{}
	for _, pid := range pids {
		spent[pid] = c.processTime(pid)
	}
	return spent, nil
}
