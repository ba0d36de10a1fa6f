package group

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	attend   = `select pgsolo.attend($1, $2, $3)`
	countLed = `select pgsolo.count_led($1, $2, $3)`
	leave    = `select pgsolo.leave($1, $2)`

	// An oid has no sign, the lock's key has one.
	unlock = `select pg_catalog.pg_advisory_unlock_shared(
			(case when class > 2147483647 then class - 4294967296 else class end)::integer, g.id)
		from pgsolo.jobs_group g, (select 'pgsolo.jobs_group'::regclass::oid::bigint as class) c where g."group" = $1`

	selectHolder = `select format('process %s of role %s (application_name %s); remedy: ' ||
				'select pg_terminate_backend(%1$s), and keep other roles out: ' ||
				'revoke connect on database ... from public',
			k.pid, a.usename, a.application_name)
		from pg_locks k join pg_stat_activity a using (pid) join pgsolo.jobs_group g on k.objid::bigint = g.id
		where g."group" = $1 and k.locktype = 'advisory' and k.classid = 'pgsolo.jobs_group'::regclass
			and k.objsubid = 2 and k.granted and k.mode = 'ExclusiveLock'
			and k.database = (select oid from pg_database where datname = current_database())`

	maxCount   = time.Minute // between two counts
	minCount   = 100 * time.Millisecond
	countParts = 20 // of the grace
)

// member is a leadership that attends. What is not said otherwise belongs to the goroutine of its attendance.
type member struct {
	ctx    context.Context // never done
	group  Group
	term   int64
	logger hclog.Logger
	left   chan struct{} // closed when it attends no more

	leaving, planned bool // guarded by the attendance's lock

	entered bool          // its group's lock is held
	over    bool          // it does not attend until it leaves: the role may not, or a newer leader does
	due     time.Time     // for the next step
	backoff time.Duration // after a failure
	failing bool          // the log has that
	counted time.Time     // up to here the time is counted; zero: from nowhere on
}

var errLocked = errors.New("another session has the lock of this election for itself alone")

// enter takes the group's lock.
func (m *member) enter(ctx context.Context, conn *pgx.Conn) error {
	var entered *bool
	err := pg.Try(ctx, func(ctx context.Context) error {
		return conn.QueryRow(ctx, m.group.DB.Place(attend), m.group.Name, m.term, m.group.Grace().Microseconds()).
			Scan(&entered)
	})
	switch {
	case err != nil:
		return err
	case entered == nil:
		return m.lockedBy(ctx, conn)
	case !*entered:
		return pg.ErrFenced
	}
	m.entered, m.failing, m.backoff = true, false, 0
	if m.counted.IsZero() {
		m.counted = time.Now()
	}
	m.due = time.Now().Add(countEvery(m.group.Grace()))
	return nil
}

// lockedBy says who has the lock: any role that may connect can take it, which keeps others from seeing this leader.
func (m *member) lockedBy(ctx context.Context, conn *pgx.Conn) error {
	var by string
	if conn.QueryRow(ctx, m.group.DB.Place(selectHolder), m.group.Name).Scan(&by) != nil {
		return errLocked
	}
	return fmt.Errorf("%w: %s", errLocked, by)
}

// count adds the time since the last count that was answered.
func (m *member) count(ctx context.Context, conn *pgx.Conn) error {
	now := time.Now()
	m.due = now.Add(countEvery(m.group.Grace()))
	passed := now.Sub(m.counted).Microseconds()
	err := pg.Try(ctx, func(ctx context.Context) error {
		_, err := conn.Exec(ctx, m.group.DB.Place(countLed), m.group.Name, m.term, passed)
		return err
	})
	if err == nil {
		m.counted = now
	}
	return err
}

// leave frees the group's lock. A leader that has stopped as planned says so before, or is waited for, which is all.
func (m *member) leave(ctx context.Context, conn *pgx.Conn, planned bool) error {
	if planned {
		_, _ = conn.Exec(ctx, m.group.DB.Place(leave), m.group.Name, m.term)
	}
	_, err := conn.Exec(ctx, m.group.DB.Place(unlock), m.group.Name)
	return err
}

// failed says what a step's failure means for the member.
func (m *member) failed(err error) {
	switch {
	case errors.Is(err, pg.ErrFenced):
		m.over = true
	case pg.IsNotAllowed(err):
		m.over = true
		m.logger.Warn("the role may not say that it leads, "+
			"so that another election with the same names may take them", "error", m.group.DB.NameGrants(m.ctx, err))
	case !m.failing:
		m.failing = true
		m.logger.Warn("no session says that this election is led, trying again", "error", err)
	}
	m.backoff = min(max(pg.MinBackoff, 2*m.backoff), pg.MaxBackoff)
	m.due = time.Now().Add(m.backoff)
}

// countEvery is a part of the grace. Without one nothing waits for the time to pass: what a leader lacks is retired
// when it declares what it has, and what a leader of the version before has marked may stay for a minute.
func countEvery(grace time.Duration) time.Duration {
	if grace == 0 {
		return maxCount
	}
	return min(maxCount, max(minCount, grace/countParts))
}
