package sql

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
)

// servedKey is where the context of a wait for a session says that the pool has begun to serve it.
type servedKey struct{}

// WatchPool has the pool that is made of the configuration say when it begins to serve a statement: when it opens
// a session for it, or asks an idle one whether it lives. Call it when the functions of the configuration are set,
// which it calls, and set Watched in the statements.
func WatchPool(config *pgxpool.Config) {
	connect, ping := config.BeforeConnect, config.ShouldPing
	config.BeforeConnect = func(ctx context.Context, session *pgx.ConnConfig) error {
		serve(ctx)
		if connect == nil {
			return nil
		}
		return connect(ctx, session)
	}
	config.ShouldPing = func(ctx context.Context, params pgxpool.ShouldPingParams) bool {
		serve(ctx)
		if ping == nil {
			return params.IdleDuration > time.Second // as without a function
		}
		return ping(ctx, params)
	}
}

func serve(ctx context.Context) {
	if served, ok := ctx.Value(servedKey{}).(*atomic.Bool); ok {
		served.Store(true)
	}
}

// acquire takes a session. Where there is none until the time is up, since others have all of them, the attempt counts
// for nothing; where one cannot be opened, it counts.
//
// The pool gives a free place to a caller before it opens a session in it, in a goroutine of its own, with the values
// of the caller's context. So what was not served when its time was up has waited for a place, or had got one at that
// very moment. The figures of the pool are no proof: others may have given their sessions back since.
func (s Statement) acquire(ctx context.Context) (*pgxpool.Conn, error) {
	var served atomic.Bool
	conn, err := s.Pool.Acquire(context.WithValue(ctx, servedKey{}, &served))
	if err == nil {
		return conn, nil
	}
	waited := ctx.Err() != nil && !served.Load()
	if stat := s.Pool.Stat(); !s.Watched {
		waited = stat.AcquiredConns()+stat.ConstructingConns() == stat.MaxConns()
	}
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	if waited {
		return nil, jobs.Starved(fmt.Errorf("wait for a session, of which there are %d: %w: %w",
			s.Pool.Config().MaxConns, jobs.ErrAllTaken, err))
	}
	return nil, fmt.Errorf("open session: %w", err)
}
