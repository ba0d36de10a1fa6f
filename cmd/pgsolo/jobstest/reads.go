package jobstest

import (
	"context"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// PoolOfReads returns a pool on a new database, until the test ends, and the reads of new events through it.
func PoolOfReads(t *testing.T) (*pgxpool.Pool, *Reads) {
	t.Helper()
	config, err := pgxpool.ParseConfig(pgtest.Database(t))
	if err != nil {
		t.Fatal(err)
	}
	traced := &Reads{}
	config.ConnConfig.Tracer = traced
	config.MaxConns = 10
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(pool.Close)
	return pool, traced
}

// Reads counts the reads of new events, and lets a test hold them before they are sent.
type Reads struct {
	Count atomic.Int64

	mu   sync.Mutex    // guards door
	door chan struct{} // closed when reads may go on; nil: nothing holds them
}

// Shut holds the reads that begin from now on, until open is called.
func (r *Reads) Shut() (open func()) {
	door := make(chan struct{})
	r.mu.Lock()
	defer r.mu.Unlock()
	r.door = door
	return sync.OnceFunc(func() {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.door = nil
		close(door)
	})
}

// TraceQueryStart is for pgx.
func (r *Reads) TraceQueryStart(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	if strings.Contains(data.SQL, "where e.id > $2") { // new ones
		r.Count.Add(1)
		r.mu.Lock()
		door := r.door
		r.mu.Unlock()
		if door != nil {
			select {
			case <-door:
			case <-ctx.Done():
			}
		}
	}
	return ctx
}

// TraceQueryEnd is for pgx.
func (r *Reads) TraceQueryEnd(context.Context, *pgx.Conn, pgx.TraceQueryEndData) {}
