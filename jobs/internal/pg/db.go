package pg

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

// DB is a pool with the schema in which its statements are placed.
type DB struct {
	Pool   *pgxpool.Pool
	Schema string

	// Stopping says that a step which has just failed is not to be tried again, for Persist. Nil: never.
	Stopping func() bool
}

// Place returns a statement, or the name of a channel or a table, for the schema.
func (db DB) Place(sql string) string { return Place(sql, db.Schema) }

// Exec places the statement and runs it.
func (db DB) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return db.Pool.Exec(ctx, db.Place(sql), args...)
}

// Query places the statement and runs it.
func (db DB) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return db.Pool.Query(ctx, db.Place(sql), args...)
}

// QueryRow places the statement and runs it.
func (db DB) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return db.Pool.QueryRow(ctx, db.Place(sql), args...)
}

// LargeValue is what a connection may go on to hold of the values that it has read last.
const LargeValue = 1 << 20

// A row of as many columns as any statement that reads events: a connection holds the values of its latest row.
const selectNulls = `select null, null, null, null, null, null, null, null, null, null`

// LetGo has a connection that has read a large value let go of it, which it does with the next answer.
func LetGo(ctx context.Context, conn *pgxpool.Conn) { _, _ = conn.Exec(ctx, selectNulls) }

// InTx runs do in a transaction with the server's default isolation. It is committed when do returns nil, and rolled
// back otherwise.
func (db DB) InTx(ctx context.Context, do func(Tx) error) error {
	return pgx.BeginFunc(ctx, db.Pool, func(tx pgx.Tx) error { return do(db.Tx(tx)) })
}

// Tx returns a transaction whose statements are placed in the schema.
func (db DB) Tx(tx pgx.Tx) Tx { return Tx{tx, db.Schema} }

// Batch returns an empty batch whose statements are placed in the schema.
func (db DB) Batch() *Batch { return &Batch{schema: db.Schema} }

// Tx is a transaction whose statements are placed in a schema.
type Tx struct {
	tx     pgx.Tx
	schema string
}

// Exec places the statement and runs it.
func (tx Tx) Exec(ctx context.Context, sql string, args ...any) (pgconn.CommandTag, error) {
	return tx.tx.Exec(ctx, Place(sql, tx.schema), args...)
}

// Query places the statement and runs it.
func (tx Tx) Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error) {
	return tx.tx.Query(ctx, Place(sql, tx.schema), args...)
}

// QueryRow places the statement and runs it.
func (tx Tx) QueryRow(ctx context.Context, sql string, args ...any) pgx.Row {
	return tx.tx.QueryRow(ctx, Place(sql, tx.schema), args...)
}

// Batch is a batch whose statements are placed in a schema.
type Batch struct {
	pgx.Batch
	schema string
}

// Queue places the statement and adds it.
func (b *Batch) Queue(sql string, args ...any) *pgx.QueuedQuery {
	return b.Batch.Queue(Place(sql, b.schema), args...)
}
