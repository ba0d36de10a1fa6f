package eventlog

import (
	"context"
	"fmt"
	"os"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// backlog is how many events wait: PGSOLO_BENCH_EVENTS, or a million.
func backlog(b *testing.B) int64 {
	b.Helper()
	text := os.Getenv("PGSOLO_BENCH_EVENTS")
	if text == "" {
		return 1_000_000
	}
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		b.Fatal(err)
	}
	return n
}

func fill(b *testing.B, pool *pgxpool.Pool, events int64) {
	b.Helper()
	if _, err := pool.Exec(b.Context(), `insert into pgsolo.event (topic, payload)
		select 't', jsonb_build_object('n', n) from generate_series(1, $1::bigint) n`, events); err != nil {
		b.Fatal(err)
	}
	for _, statement := range []string{`vacuum analyze pgsolo.event`, `checkpoint`} {
		if _, err := pool.Exec(b.Context(), statement); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkBacklog works off waiting events with handlers that do nothing, and compares that with the floor: a bare
// loop that reads 5,000 rows at a time by id and writes one row of progress per batch. Each handler works off all
// events; the time is that until the last one has, and events/s are those of each handler.
func BenchmarkBacklog(b *testing.B) {
	events := backlog(b)
	pool := jobstest.Pool(b)
	fill(b, pool, events)
	bareLoop(b, pool, events) // once for the sake of the server's cache
	for _, handlers := range []int{1, 4} {
		b.Run(fmt.Sprintf("handlers=%d", handlers), func(b *testing.B) { benchmarkBacklog(b, pool, events, handlers) })
	}
}

func benchmarkBacklog(b *testing.B, pool *pgxpool.Pool, events int64, handlers int) {
	var (
		floor, took time.Duration
		allocs      uint64
		term        = pgtest.Value[int64](b, pool, `select coalesce(max(term), 0) from pgsolo.doorbell`)
	)
	for range b.N {
		began := time.Now()
		bareLoop(b, pool, events)
		floor += time.Since(began)

		if _, err := pool.Exec(b.Context(), `delete from pgsolo.cursor`); err != nil {
			b.Fatal(err)
		}
		var all sync.WaitGroup
		all.Add(handlers)
		list := make([]Handler, handlers)
		for i := range list {
			var count atomic.Int64
			list[i] = Handler{Name: fmt.Sprint("h", i), Topic: "t", Handle: func(context.Context, Event) error {
				if count.Add(1) == events {
					all.Done()
				}
				return nil
			}}
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		term++
		began = time.Now()
		l := lead(b, pool, term, list...)
		all.Wait()
		took += time.Since(began)
		runtime.ReadMemStats(&after)
		allocs += after.Mallocs - before.Mallocs
		l.quit()
	}
	n := float64(b.N) * float64(events)
	b.ReportMetric(n/took.Seconds(), "events/s")
	b.ReportMetric(n/floor.Seconds(), "floor/s")
	b.ReportMetric(floor.Seconds()/took.Seconds(), "of-floor")
	b.ReportMetric(float64(allocs)/n/float64(handlers), "allocs/event")
	b.ReportMetric(residentPeak(b), "resident-MB")
}

// residentPeak is the most memory that this process, PostgreSQL not included, has taken so far; 0 where the system does
// not tell.
func residentPeak(b *testing.B) float64 {
	b.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		return 0
	}
	_, line, _ := strings.Cut(string(status), "VmHWM:")
	var kB float64
	if _, err := fmt.Sscan(line, &kB); err != nil {
		b.Fatal(err)
	}
	return kB / 1024
}

func bareLoop(b *testing.B, pool *pgxpool.Pool, events int64) {
	b.Helper()
	ctx := b.Context()
	for last, n := int64(0), int64(0); n < events; {
		rows, err := pool.Query(ctx,
			`select id, topic, key, payload, headers, created_at from pgsolo.event
				where id > $1 order by id limit 5000`, last)
		if err != nil {
			b.Fatal(err)
		}
		var (
			topic            string
			key              *string
			payload, headers []byte
			created          time.Time
		)
		if _, err := pgx.ForEachRow(rows, []any{&last, &topic, &key, &payload, &headers, &created},
			func() error { n++; return nil }); err != nil {
			b.Fatal(err)
		}
		if _, err := pool.Exec(ctx,
			`insert into pgsolo.cursor (handler, done) values ('floor', int8multirange(int8range(1, $1::bigint + 1)))
			on conflict (handler) do update set done = excluded.done`, last); err != nil {
			b.Fatal(err)
		}
	}
}
