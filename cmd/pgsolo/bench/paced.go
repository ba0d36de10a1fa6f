package bench

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"
)

const (
	pace      = time.Second / 50 // from one insert to the next
	pacedTurn = 50               // inserts of one turn
)

// measurePaced sends single events at a leisurely pace.
func (e *events) measurePaced(ctx context.Context) (err error) {
	const figure = "latency_50"
	if err := e.clearLog(ctx); err != nil {
		return err
	}
	ours, floors := newStopwatch(), newStopwatch()
	l, err := e.newIdleLeader(ctx, figure, ours)
	if err != nil {
		return fmt.Errorf("%s: %w", figure, err)
	}
	defer func() { err = errors.Join(err, l.close()) }()
	floor, err := e.newNotified(ctx, floors)
	if err != nil {
		return fmt.Errorf("%s: floor: %w", figure, err)
	}
	defer func() { err = errors.Join(err, floor.close()) }()
	for i := 0; i < e.sizes.paced; i += pacedTurn {
		e.progress.step(figure, i+1, e.sizes.paced)
		n := min(pacedTurn, e.sizes.paced-i)
		if err := e.insertPaced(ctx, insertAndNotify, floors, n); err != nil {
			return fmt.Errorf("%s: floor: %w", figure, err)
		}
		if _, err := floors.awaitAll(ctx, i+n, floor.broken); err != nil {
			return fmt.Errorf("%s: floor: %w", figure, err)
		}
		if err := e.insertPaced(ctx, insertEvent, ours, n); err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
		if _, err := ours.awaitAll(ctx, i+n, l.broken); err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
	}
	p99 := func(samples []float64) []float64 {
		return []float64{quantile(slices.Sorted(slices.Values(samples)), 0.99)}
	}
	took, took0 := ours.samples(), floors.samples()
	if err := e.report(newFigure(figure, "ms", took, took0, atMost("ratio", 1.5))); err != nil {
		return err
	}
	return e.report(newFigure(figure+"_p99", "ms", p99(took), p99(took0), atMost("ratio", 2)))
}

// insertPaced inserts n rows, one at a time, on the run's own connection.
func (e *events) insertPaced(ctx context.Context, statement string, w *stopwatch, n int) error {
	ticker := time.NewTicker(pace)
	defer ticker.Stop()
	for range n {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-ticker.C:
		}
		if _, err := e.own.Exec(context.Background(), statement, w.payload()); err != nil {
			return fmt.Errorf("insert: %w", err)
		}
	}
	return nil
}

// notified is the floor: a connection that waits for a notification and then reads what is new.
type notified struct {
	conn    *pgx.Conn
	severed func() bool        // undoes what ends its wait with its context
	stop    context.CancelFunc // ends its wait
	ended   chan struct{}      // closed when it waits no more, for the reason err
	err     error
}

const insertAndNotify = `with inserted as (insert into bench_event (topic, payload) values ('bench', $1) returning id)
	select pg_notify('` + bareChannel + `', '') from inserted`

// newNotified returns when it listens. The caller closes it.
func (e *events) newNotified(ctx context.Context, w *stopwatch) (*notified, error) {
	conn, _, err := e.bare(ctx, []string{bareChannel})
	if err != nil {
		return nil, err
	}
	n := &notified{conn: conn, ended: make(chan struct{})}
	ctx, n.stop = context.WithCancel(ctx)
	n.severed = context.AfterFunc(ctx, func() { _ = conn.PgConn().Conn().SetDeadline(time.Unix(1, 0)) })
	go func() {
		defer close(n.ended)
		n.err = n.receive(w)
	}()
	return n, nil
}

// receive runs until the connection is severed. Its context is none that could end, for which pgx would have to watch.
func (n *notified) receive(w *stopwatch) error {
	const selectAbove = `select id, topic, key, payload, headers, created_at, deliver_at from bench_event where id > $1
		order by id limit 5000`
	ctx := context.Background()
	for last := int64(0); ; {
		if _, err := n.conn.WaitForNotification(ctx); err != nil {
			return err
		}
		rows, err := n.conn.Query(ctx, selectAbove, last)
		if err != nil {
			return err
		}
		if err := eachRow(rows, &last, w.receive); err != nil {
			return err
		}
	}
}

func (n *notified) broken() error {
	select {
	case <-n.ended:
		return n.err
	default:
		return nil
	}
}

func (n *notified) close() error {
	n.stop()
	<-n.ended
	n.severed()
	_ = n.conn.Close(context.Background())
	return nil
}
