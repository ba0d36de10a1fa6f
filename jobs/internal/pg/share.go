package pg

import "github.com/jackc/pgx/v5/pgxpool"

// TransactionSessions is for those that hold a connection of the pool for any time: each puts a value in meanwhile.
// They leave claims, reads and progress connections of their own, half of them, up to four.
func TransactionSessions(pool *pgxpool.Pool) chan struct{} {
	most := int(pool.Config().MaxConns)
	return make(chan struct{}, max(1, most-min(4, most/2)))
}
