package pg

import "github.com/jackc/pgx/v5/pgxpool"

// TransactionSessions is how many connections of the pool may be with those that hold one for any time. It leaves
// claims, reads and progress connections of their own, half of them, up to four.
func TransactionSessions(pool *pgxpool.Pool) int {
	most := int(pool.Config().MaxConns)
	return max(1, most-min(4, most/2))
}
