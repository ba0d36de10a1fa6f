// Package registry makes a replica known for as long as its session lasts.
package registry

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/election/internal/holder"
)

// Replica is what is known of one that takes part in an election.
type Replica struct {
	Election    string
	Node        string // the holder, where it leads
	Address     string
	Version     string
	Fingerprint string
}

const (
	// A commit that waited for a synchronous replica would keep this one from standing by.
	bound = `set local lock_timeout = '300ms'; set local synchronous_commit = off`

	selectClass = `select 'pgsolo.replica_session'::regclass::oid::bigint`

	// The lock comes first: a row whose id another session holds is not touched, and one that nobody holds may stand
	// there from before a restore. Then the session lets go of the lock and draws again.
	insertReplica = `insert into pgsolo.replica_session (id, election, node, address, version, fingerprint)
		select $2::integer, $3, $4, $5, $6, $7 where pg_try_advisory_lock($1, $2)
		on conflict do nothing`
	unlock = `select pg_advisory_unlock($1, $2)`

	// A lock of a role that may not lead says nothing.
	deleteDead = `delete from pgsolo.replica_session r
		where r.since < clock_timestamp() - interval '1 day' and not exists (
			select from pg_locks k join pg_stat_activity a using (pid)
			where ` + holder.MayLead + ` and k.locktype = 'advisory' and k.objsubid = 2
				and k.classid = 'pgsolo.replica_session'::regclass and k.objid = r.id::bigint::oid
				and k.database = (select oid from pg_database where datname = current_database()))`

	draws = 5
)

// Register writes the replica down, and takes the lock that says that it is there until the session ends. It deletes
// those that have gone; notPruned is why it could not. place puts a statement into the schema. Nothing is waited for:
// neither a lock that another session has on the table, nor a synchronous replica.
func Register(
	ctx context.Context, conn *pgx.Conn, place func(sql string) string, r Replica,
) (err, notPruned error) {
	err = pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		var oid int64
		if _, err := tx.Exec(ctx, bound); err != nil {
			return err
		}
		if err := tx.QueryRow(ctx, place(selectClass)).Scan(&oid); err != nil {
			return fmt.Errorf("find the table of the replicas: %w", err)
		}
		class := int32(uint32(oid)) // the same 32 bits: an oid has no sign, the lock's key has one
		if err := insert(ctx, tx, place(insertReplica), class, r); err != nil {
			return err
		}
		notPruned = pgx.BeginFunc(ctx, tx, func(tx pgx.Tx) error { // a savepoint
			_, err := tx.Exec(ctx, place(deleteDead))
			return err
		})
		return nil
	})
	if notPruned != nil {
		notPruned = fmt.Errorf("delete replicas that have gone: %w", notPruned)
	}
	return err, notPruned
}

// insert draws numbers until one is free.
func insert(ctx context.Context, tx pgx.Tx, sql string, class int32, r Replica) error {
	for range draws {
		id := 1 + rand.Int32N(math.MaxInt32)
		tag, err := tx.Exec(ctx, sql, class, id, r.Election, r.Node, r.Address, r.Version, r.Fingerprint)
		if err != nil {
			return fmt.Errorf("register this replica: %w", err)
		}
		if tag.RowsAffected() == 1 {
			return nil
		}
		if _, err := tx.Exec(ctx, unlock, class, id); err != nil {
			return fmt.Errorf("draw another number for this replica: %w", err)
		}
	}
	return errors.New("register this replica: each number that was drawn is taken")
}
