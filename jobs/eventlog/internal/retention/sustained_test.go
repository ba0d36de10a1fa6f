package retention

import (
	"context"
	"encoding/hex"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// producers insert as fast as they can until ctx is done: single rows, batches by COPY, and payloads large enough to be
// kept out of line.
type producers struct {
	running  sync.WaitGroup
	inserted atomic.Int64
}

func produce(ctx context.Context, t testing.TB, pool *pgxpool.Pool) *producers {
	p := &producers{}
	noise := make([]byte, 6000)
	for i := range noise {
		noise[i] = byte(i * i * 31 >> 3)
	}
	large := `"` + hex.EncodeToString(noise) + `"`
	single := func(payload string) (int64, error) {
		_, err := pool.Exec(ctx, `insert into pgsolo.event (topic, payload) values ('t', $1::jsonb)`, payload)
		return 1, err
	}
	repeat := func(insert func() (int64, error)) {
		p.running.Go(func() {
			for ctx.Err() == nil {
				n, err := insert()
				if err != nil && ctx.Err() == nil {
					t.Error(fmt.Errorf("insert: %w", err))
					return
				}
				p.inserted.Add(n)
			}
		})
	}
	for range 4 {
		repeat(func() (int64, error) { return single(`{"small": 1}`) })
	}
	repeat(func() (int64, error) { return single(large) })
	repeat(func() (int64, error) {
		return pool.CopyFrom(ctx, pgx.Identifier{"pgsolo", "event"}, []string{"topic", "payload"},
			pgx.CopyFromSlice(500, func(i int) ([]any, error) {
				return []any{"t", map[string]int{"number": i}}, nil
			}))
	})
	return p
}

// While producers insert as fast as they can, and events go after two seconds, the table stays within twice the size
// that the events of the busiest two seconds have in a table of their own. PGSOLO_TEST_RETENTION_SECONDS makes it run
// for longer.
func TestSizeUnderSustainedLoad(t *testing.T) {
	const (
		retention = 2 * time.Second
		slack     = 1 << 20
	)
	seconds := 6
	if s, err := strconv.Atoi(os.Getenv("PGSOLO_TEST_RETENTION_SECONDS")); err == nil {
		seconds = s
	}
	tt := setupTrim(t, map[string]time.Duration{"t": retention})
	config := tt.pool.Config()
	config.MaxConns = 12
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	tt.cursor("h", "t", "{}")

	began := time.Now()
	ctx, cancel := context.WithTimeout(t.Context(), time.Duration(seconds)*time.Second+pgtest.Patience)
	defer cancel()
	p := produce(ctx, t, pool)
	busiest := int64(0) // how many events came within the retention
	p.running.Go(func() {
		ticker := time.NewTicker(retention / 40)
		defer ticker.Stop()
		var counts []int64
		for ctx.Err() == nil {
			counts = append(counts, p.inserted.Load())
			busiest = max(busiest, counts[len(counts)-1]-counts[max(0, len(counts)-41)])
			// or they are too few to tell
			if time.Since(began) > time.Duration(seconds)*time.Second && counts[len(counts)-1] > 2*busiest {
				cancel()
			}
			// The handler has finished all but the latest events.
			_, err := pool.Exec(ctx, `update pgsolo.cursor set done = int8multirange(int8range(1,
				greatest(1, coalesce(pg_sequence_last_value('pgsolo.event_id_seq'), 1) - 2000)))`)
			if err != nil && ctx.Err() == nil {
				t.Error(err)
			}
			select {
			case <-ctx.Done():
			case <-ticker.C:
			}
		}
	})
	tt.Run(ctx)
	p.running.Wait()

	size := pgtest.Value[int64](t, pool, `select pg_total_relation_size('pgsolo.event')`)
	tt.exec(`create table pgsolo.fresh (like pgsolo.event including indexes)`)
	tt.exec(`insert into pgsolo.fresh select * from pgsolo.event
		where created_at > (select max(created_at) from pgsolo.event) - $1::interval order by id`, retention)
	events := pgtest.Value[int64](t, pool, `select count(*) from pgsolo.fresh`)
	live := pgtest.Value[int64](t, pool, `select pg_total_relation_size('pgsolo.fresh')`) * max(events,
		busiest) / events
	t.Logf("%d events in %.0f s, at most %d within the retention, %d at the end: "+
		"%d kB for %d kB of live data: %.2f times",
		p.inserted.Load(), time.Since(began).Seconds(), busiest, events, size/1024, live/1024,
		float64(size)/float64(live))
	if size > 2*live+slack {
		t.Errorf("the event log takes %d bytes for %d bytes of live data\n%s", size, live, &tt.logged)
	}
	if p.inserted.Load() < 2*busiest {
		t.Errorf("only %d events came, %d within the retention: too few to tell", p.inserted.Load(), busiest)
	}
}
