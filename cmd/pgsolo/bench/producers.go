package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
	"golang.org/x/sync/errgroup"
)

const (
	insertEvent = `insert into pgsolo.event (topic, payload) values ('bench', $1)`
	insertFloor = `insert into bench_event (topic, payload) values ('bench', $1)`
)

// producers are connections on which the two statements are prepared, under their own texts.
type producers []*pgx.Conn

func (e *events) newProducers(ctx context.Context, n int) (all producers, err error) {
	config, err := pgx.ParseConfig(e.url)
	if err != nil {
		return nil, err
	}
	config.RuntimeParams["application_name"] = ownName
	sessions(config)
	for range n {
		conn, err := pgx.ConnectConfig(ctx, config)
		if err != nil {
			return nil, errors.Join(err, all.close(ctx))
		}
		all = append(all, conn)
		for _, statement := range []string{insertEvent, insertFloor} {
			if _, err := conn.Prepare(ctx, statement, statement); err != nil {
				return nil, errors.Join(err, all.close(ctx))
			}
		}
	}
	return all, nil
}

func (all producers) close(ctx context.Context) error {
	for _, conn := range all {
		_ = conn.Close(context.WithoutCancel(ctx))
	}
	return nil
}

// inserted is what producers have done.
type inserted struct {
	rows      int
	perSecond float64
	last      time.Time // the last commit
}

// insert inserts single rows as fast as it goes, on all connections, for that long.
func (all producers) insert(
	ctx context.Context, statement string, w *stopwatch, duration time.Duration,
) (done inserted, err error) {
	var (
		group errgroup.Group
		rows  = make([]int, len(all))
		began = time.Now()
		until = began.Add(duration)
	)
	for i, conn := range all {
		group.Go(func() error {
			n := 0
			defer func() { rows[i] = n }()
			for time.Now().Before(until) && ctx.Err() == nil {
				// A context that could end would have pgx watch it during each statement.
				if _, err := conn.Exec(context.Background(), statement, w.payload()); err != nil {
					return fmt.Errorf("insert: %w", err)
				}
				n++
			}
			return ctx.Err()
		})
	}
	err = group.Wait()
	done.last = time.Now()
	for _, n := range rows {
		done.rows += n
	}
	done.perSecond = float64(done.rows) / done.last.Sub(began).Seconds()
	return done, err
}

// insertFigures are what a number of producers, and those who wait for their events, see.
type insertFigures struct{ floors, rates, endToEnd, catchUp []float64 }

// measureInserts has the producers insert into the log, and into the floor's table, in turn. The same leader runs all
// the time; before each turn it is idle. Which one comes first changes with each round.
func (e *events) measureInserts(ctx context.Context, connections int) (err error) {
	figure := fmt.Sprintf("insert_%d_connections", connections)
	if err := e.clearLog(ctx); err != nil {
		return err
	}
	all, err := e.newProducers(ctx, connections)
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer func() { err = errors.Join(err, all.close(ctx)) }()
	ours, floors := newStopwatch(), newStopwatch()
	l, err := e.newIdleLeader(ctx, figure, ours)
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer func() { err = errors.Join(err, l.close()) }()
	var (
		figures insertFigures
		sent    int
	)
	insertIntoFloor := func() error {
		done, err := all.insert(ctx, insertFloor, floors, e.sizes.inserting)
		figures.floors = append(figures.floors, done.perSecond)
		return err
	}
	insertIntoLog := func() error {
		done, err := all.insert(ctx, insertEvent, ours, e.sizes.inserting)
		if err != nil {
			return err
		}
		sent += done.rows
		last, err := ours.awaitAll(ctx, sent, l.broken)
		if err != nil {
			return err
		}
		figures.rates = append(figures.rates, done.perSecond)
		figures.catchUp = append(figures.catchUp, milliseconds([]time.Duration{max(0, last.Sub(done.last))})...)
		return nil
	}
	for i := range e.sizes.rounds {
		e.progress.step(figure, i+1, e.sizes.rounds)
		turns := []func() error{insertIntoFloor, insertIntoLog}
		if i%2 == 1 {
			slices.Reverse(turns)
		}
		for _, turn := range turns {
			if err := l.awaitIdle(ctx); err != nil {
				return fmt.Errorf("%s: %w", figure, err)
			}
			if err := turn(); err != nil {
				return fmt.Errorf("%s: %w", figure, err)
			}
		}
	}
	figures.endToEnd = ours.samples()
	return e.reportInserts(connections, figures)
}

// reportInserts judges the end to end at few connections alone: with many, what is first in the way is the server's own
// queue of commits.
func (e *events) reportInserts(connections int, of insertFigures) error {
	var goal []limit
	if connections == 4 {
		goal = []limit{atMost("p99", 25)}
	}
	named := func(what string) string { return fmt.Sprintf("%s_%d_connections", what, connections) }
	return e.report(
		newFigure(named("insert"), "1/s", of.rates, of.floors, atLeast("ratio", 0.85)),
		newFigure(named("end_to_end"), "ms", of.endToEnd, nil, goal...),
		newFigure(named("catch_up"), "ms", of.catchUp, nil, atMost("max", 250)),
	)
}
