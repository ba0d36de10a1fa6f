package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
)

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
		_ = conn.Close(context.WithoutCancel(ctx))
		return nil, err
	}
	return conn, err
}
