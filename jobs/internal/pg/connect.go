package pg

import (
	"context"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// closeTime bounds the word to the server that a session ends.
const closeTime = time.Second

// Connect opens a session as the pool does, that is not of the pool.
func (db DB) Connect(ctx context.Context) (*pgx.Conn, error) {
	pool := db.Pool.Config()
	config := pool.ConnConfig
	if pool.BeforeConnect != nil {
		if err := pool.BeforeConnect(ctx, config); err != nil {
			return nil, err
		}
	}
	conn, err := pgx.ConnectConfig(ctx, config)
	if err == nil && pool.AfterConnect != nil {
		err = pool.AfterConnect(ctx, conn)
	}
	if err != nil && conn != nil {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		_ = conn.Close(ctx)
		return nil, err
	}
	return conn, err
}

// Renew makes a session of a pool as a new one is: it removes whatever statements have left there, and does what the
// pool does with a new session. DISCARD ALL removes the prepared statements, so that pgx has to forget its own first.
func Renew(ctx context.Context, conn *pgx.Conn, pool *pgxpool.Config) error {
	err := conn.DeallocateAll(ctx)
	if err == nil {
		_, err = conn.Exec(ctx, `discard all`)
	}
	if err == nil && pool.AfterConnect != nil {
		err = pool.AfterConnect(ctx, conn)
	}
	return err
}
