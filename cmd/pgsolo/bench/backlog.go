package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// measureBacklog has the floor, one handler and four work off the same events, in turn.
func (e *events) measureBacklog(ctx context.Context) error {
	const figure = "backlog"
	if err := e.fill(ctx); err != nil {
		return err
	}
	if _, err := e.bareLoop(ctx); err != nil { // once for the sake of the server's cache
		return fmt.Errorf("%s: floor: %w", figure, err)
	}
	forgetPeak()
	var floors, one, four, allocations []float64
	for i := range e.sizes.rounds {
		e.progress.step(figure, i+1, e.sizes.rounds)
		took, err := e.bareLoop(ctx)
		if err != nil {
			return fmt.Errorf("%s: floor: %w", figure, err)
		}
		floors = append(floors, e.perSecond(took))
		took, mallocs, err := e.workOff(ctx, 1)
		if err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
		one, allocations = append(one, e.perSecond(took)), append(allocations, float64(mallocs)/float64(e.sizes.events))
		if took, _, err = e.workOff(ctx, 4); err != nil {
			return fmt.Errorf("%s: %w", figure, err)
		}
		four = append(four, e.perSecond(took))
	}
	figures := []Figure{
		newFigure("backlog_1_handler", "1/s", one, floors, atLeast("ratio", 0.6)),
		newFigure("backlog_4_handlers", "1/s", four, floors, atLeast("ratio", 0.4)),
		newFigure("backlog_allocations", "", allocations, nil, atMost("max", 10)),
	}
	if peak, ok := memory(os.Getpid(), "VmHWM"); ok {
		figures = append(figures, newFigure("backlog_memory", "MB", []float64{peak}, nil, atMost("max", 100)))
	}
	return e.report(figures...)
}

func (e *events) perSecond(took time.Duration) float64 {
	return float64(e.sizes.events) / took.Seconds()
}

// fill makes the waiting events.
func (e *events) fill(ctx context.Context) error {
	const (
		insertBacklog = `insert into pgsolo.event (topic, payload)
			select $1, jsonb_build_object('n', n) from generate_series(1, $2::bigint) n`
		vacuumLog = `vacuum analyze pgsolo.event`
	)
	if err := e.clearLog(ctx); err != nil {
		return err
	}
	e.progress.step("waiting events", 1, e.sizes.events)
	if _, err := e.own.Exec(ctx, insertBacklog, eventsTopic, e.sizes.events); err != nil {
		return fmt.Errorf("insert the waiting events: %w", err)
	}
	if _, err := e.own.Exec(ctx, vacuumLog); err != nil {
		return fmt.Errorf("vacuum the event log: %w", err)
	}
	return nil
}

// bareLoop is the floor. Its context is none that could end, for which pgx would have to watch during each statement.
func (e *events) bareLoop(ctx context.Context) (time.Duration, error) {
	const (
		selectBatch = `select id, topic, key, payload, headers, created_at, deliver_at from pgsolo.event where id > $1
			order by id limit 5000`
		writeProgress = `insert into bench_cursor (handler, done) values ('floor', $1)
			on conflict (handler) do update set done = excluded.done`
	)
	runtime.GC() // what others have left
	began := time.Now()
	for last, n := int64(0), 0; n < e.sizes.events; {
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
		before := n
		rows, err := e.own.Query(context.Background(), selectBatch, last)
		if err != nil {
			return 0, err
		}
		if err := eachRow(rows, &last, func([]byte) error { n++; return nil }); err != nil {
			return 0, err
		}
		if n == before {
			return 0, fmt.Errorf("%d events are there, want %d", n, e.sizes.events)
		}
		if _, err := e.own.Exec(context.Background(), writeProgress, last); err != nil {
			return 0, err
		}
	}
	return time.Since(began), nil
}

// eachRow reads all columns of rows of the log, or of one like it. It leaves the highest id in last.
func eachRow(rows pgx.Rows, last *int64, do func(payload []byte) error) error {
	var (
		topic            string
		key              *string
		payload, headers []byte
		created          time.Time
		due              *time.Time
	)
	columns := []any{last, &topic, &key, &payload, &headers, &created, &due}
	_, err := pgx.ForEachRow(rows, columns, func() error { return do(payload) })
	return err
}

// workOff has new handlers, which do nothing, handle all events. It returns how long it took until the last of them was
// through, and how often memory was allocated meanwhile.
func (e *events) workOff(ctx context.Context, handlers int) (took time.Duration, mallocs uint64, err error) {
	if _, err := e.own.Exec(ctx, `truncate pgsolo.cursor`); err != nil {
		return 0, 0, fmt.Errorf("forget the handlers: %w", err)
	}
	var left atomic.Int64 // handlers
	left.Store(int64(handlers))
	through := make(chan struct{})
	list := make([]eventlog.Handler, handlers)
	for i := range list {
		var n int // a handler has one worker
		handle := func(context.Context, eventlog.Event) error {
			if n++; n == e.sizes.events && left.Add(-1) == 0 {
				close(through)
			}
			return nil
		}
		list[i] = eventlog.Handler{Name: fmt.Sprint("backlog_", i+1), Topic: eventsTopic, Handle: handle}
	}
	l, err := e.newLeader(ctx, work{group: eventsGroup, handlers: list})
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, l.close()) }()
	e.term++
	runtime.GC() // what others have left
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began := time.Now()
	l.lead(ctx, e.term)
	if err := e.within(ctx, through, l); err != nil {
		return 0, 0, err
	}
	took = time.Since(began)
	runtime.ReadMemStats(&after)
	return took, after.Mallocs - before.Mallocs, nil
}

// within waits for the end of the backlog, for far longer than it should take.
func (e *events) within(ctx context.Context, through <-chan struct{}, l *leader) error {
	limit := patience + time.Duration(e.sizes.events)*100*time.Microsecond
	timeout := time.NewTimer(limit)
	defer timeout.Stop()
	select {
	case <-through:
		return nil
	case <-l.ended:
		return l.broken()
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return fmt.Errorf("%d events were not handled within %s", e.sizes.events, limit)
	}
}

// forgetPeak makes the system count anew what was the most that this process had resident, where it can.
func forgetPeak() { _ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0) }
