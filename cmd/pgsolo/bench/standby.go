package bench

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
)

// cost is what the server says at one moment. All but the connections are totals since it began.
type cost struct {
	at           time.Time
	connections  int // to the bench's database, without the bench's own
	queued       int // of them, in the lock's queue
	transactions int64
	xid          int64  // the next one
	log          *int64 // bytes; nil: the server does not tell
}

// measureStandby watches one replica of the whole program. The bench itself holds the lock for that time, idle, so that
// nothing but the standby works in the database.
func (r elections) measureStandby(ctx context.Context) error {
	if err := r.takeLock(ctx); err != nil {
		return fmt.Errorf("take the lock: %w", err)
	}
	standby, err := r.startReplica("WITNESS=http://127.0.0.1:1")
	if err != nil {
		return err
	}
	defer standby.Close()
	costs, err := r.watchStandby(ctx, standby)
	if err != nil {
		return err
	}
	if err := r.reportStandby(costs, standby.PID()); err != nil {
		return err
	}
	standby.Close()
	if _, err := r.own.Exec(ctx, `select pg_advisory_unlock_all()`); err != nil {
		return fmt.Errorf("free the lock: %w", err)
	}
	return nil
}

// takeLock makes the bench's own session the holder. The session hands in its own transactions at once, rather than
// while the standby is watched; a server before version 15 does not count them before the session's next one.
func (r elections) takeLock(ctx context.Context) error {
	const (
		takeLock = `with election as (insert into pgsolo.leader (election) values ('bench') returning lock_id)
			select pg_advisory_lock('pgsolo.leader'::regclass::oid::int, lock_id) from election`
		flushCounters = `do $$ begin perform pg_stat_force_next_flush();
			exception when undefined_function then null; end $$`
	)
	if _, err := r.own.Exec(ctx, takeLock); err != nil {
		return err
	}
	_, err := r.own.Exec(ctx, flushCounters)
	return err
}

// watchStandby looks at the server every 20 ms, at first until the standby queues.
func (r elections) watchStandby(ctx context.Context, standby *fleet.Process) (costs []cost, err error) {
	const every = 20 * time.Millisecond
	single := group{run: r.run, members: []*fleet.Process{standby}}
	if err := single.awaitQueue(ctx, 1); err != nil {
		return nil, err
	}
	withLog, err := r.logIsThere(ctx)
	if err != nil {
		return nil, err
	}
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for began := time.Now(); ; {
		c, err := r.readCost(ctx, withLog)
		if err != nil {
			return nil, err
		}
		costs = append(costs, c)
		r.progress.step("standby", len(costs), int(r.sizes.watch/every))
		if elapsed := time.Since(began); elapsed > r.sizes.watch && len(changes(costs)) > 1 || elapsed > patience {
			return costs, nil
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-standby.Ended():
			return nil, fmt.Errorf("the standby has ended: %s", standby.Output())
		case <-ticker.C:
		}
	}
}

// logIsThere says whether the server tells how long its log is: it must keep one itself, and the user must be allowed
// to ask.
func (r *run) logIsThere(ctx context.Context) (there bool, err error) {
	const mayReadLog = `select pg_current_logfile() is not null
		and has_function_privilege('pg_stat_file(text)', 'execute')
		and has_function_privilege('pg_current_logfile()', 'execute')`
	err = r.admin.QueryRow(ctx, mayReadLog).Scan(&there)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == insufficientPrivilege {
		return false, nil
	}
	return there, err
}

const insufficientPrivilege = "42501"

func (r *run) readCost(ctx context.Context, withLog bool) (c cost, err error) {
	const (
		selectCost = `select clock_timestamp(), pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
				(select count(*) from pg_stat_activity
					where datname = d.datname and backend_type = 'client backend' and application_name <> $2),
				(select count(*) from pg_locks where database = d.datid and locktype = 'advisory' and not granted),
				d.xact_commit + d.xact_rollback
			from pg_stat_database d where d.datname = $1`
		selectLog = `select (pg_stat_file(pg_current_logfile())).size`
	)
	err = r.admin.QueryRow(ctx, selectCost, r.own.Config().Database, ownName).
		Scan(&c.at, &c.xid, &c.connections, &c.queued, &c.transactions)
	if err == nil && withLog {
		err = r.admin.QueryRow(ctx, selectLog).Scan(&c.log)
	}
	if err != nil {
		return c, fmt.Errorf("read what the standby costs: %w", err)
	}
	return c, nil
}

// changes are the moments at which the number of transactions rose. The server counts late and in leaps, so a rate is
// that from one such moment to another.
func changes(costs []cost) (rose []cost) {
	for i := 1; i < len(costs); i++ {
		if costs[i].transactions > costs[i-1].transactions {
			rose = append(rose, costs[i])
		}
	}
	return rose
}

func (r elections) reportStandby(costs []cost, pid int) error {
	first, last := costs[0], costs[len(costs)-1]
	var connections, queued []float64
	for _, c := range costs {
		connections, queued = append(connections, float64(c.connections)), append(queued, float64(c.queued))
	}
	from, to := first, last
	if rose := changes(costs); len(rose) > 1 {
		from, to = rose[0], rose[len(rose)-1]
	}
	rate := float64(to.transactions-from.transactions) / to.at.Sub(from.at).Seconds()
	figures := []Figure{
		newFigure("standby_connections", "", connections, nil),
		newFigure("standby_election_connections", "", queued, nil, atMost("max", 1)),
		newFigure("standby_transactions", "1/s", []float64{rate}, nil, atMost("max", 1.2)),
		newFigure("standby_xids", "", []float64{float64(last.xid - first.xid)}, nil, atMost("max", 0)),
	}
	if first.log != nil && last.log != nil {
		written := []float64{float64(*last.log - *first.log)}
		figures = append(figures, newFigure("standby_log", "bytes", written, nil, atMost("max", 0)))
	}
	if resident, ok := memory(pid, "VmRSS"); ok {
		figures = append(figures, newFigure("standby_memory", "MB", []float64{resident}, nil, atMost("max", 25)))
	}
	return r.report(figures...)
}

// memory returns megabytes, where the system has /proc: VmRSS is what is resident, VmHWM the most that has been.
func memory(pid int, which string) (megabytes float64, ok bool) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, false
	}
	var kib float64
	for line := range strings.Lines(string(status)) {
		if _, err := fmt.Sscanf(line, which+": %f kB", &kib); err == nil {
			return kib * 1024 / 1e6, true
		}
	}
	return 0, false
}
