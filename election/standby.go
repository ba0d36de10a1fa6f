package election

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/election/internal/holder"
	"github.com/pgsolo/pgsolo/election/internal/spread"
)

const (
	campaign = `select pgsolo.campaign($1, $2, $3)`

	// The holder of the lock: whether its name is one that only sessions of this election have, and its role one that
	// may lead, and when it was last active by the server's clock. The database is named because copies of one share
	// their oids. The counts are of the sessions of leaders, and of those whose term the row does not know: then it is
	// that of a restore.
	selectLeader = `select 'pgsolo.leader'::regclass::oid::bigint, l.lock_id,
			l.timeline, l.term, coalesce(l.holder, ''), coalesce(l.address, ''),
			coalesce(l.since, 'epoch'), l.clean,
			case when l.fingerprint_term = l.term then coalesce(l.fingerprint, '') else '' end,
			coalesce(t.server, ''), coalesce(t.lease_ms, 0),
			coalesce(h.pid, 0), coalesce(h.role, ''), coalesce(h.name, ''), coalesce(h.address, ''),
			coalesce(h.may_lead, false), coalesce(h.may_lead and starts_with(h.name, $3), false), h.state_change,
			s.leaders, s.later, clock_timestamp()
		from pgsolo.leader l cross join lateral (
			select count(*) as leaders, count(*) filter (where a.usename = current_user and case
				when substr(a.application_name, length($2) + 1) ~ '^[0-9]{1,19}$'
				then substr(a.application_name, length($2) + 1)::numeric > l.term end) as later
			from pg_stat_activity a
			where a.datname = current_database() and starts_with(a.application_name, $2) and ` + holder.MayLead + `
		) s left join pgsolo.leader_term t using (election, timeline, term) left join lateral (
			select ` + holder.Columns + `, a.state_change
			from pg_locks k left join pg_stat_activity a using (pid)
			where k.locktype = 'advisory'
				and k.classid = 'pgsolo.leader'::regclass and k.objid = l.lock_id and k.objsubid = 2
				and k.granted and k.pid is distinct from pg_backend_pid()
				and k.database = (select oid from pg_database where datname = current_database())
			order by k.pid limit 1 -- foreign holders may share the lock
		) h on true
		where l.election = $1`
)

// leaderRow is the row of pgsolo.leader, and what the server tells of the leader's sessions.
type leaderRow struct {
	term           Term // what names it: no Session, Stopping, Over, Held
	address        string
	since          time.Time
	clean          bool
	fingerprint    string        // of what the leader runs; empty: it has not said
	server         string        // the start of the server in which the term began; empty: the leader did not say
	lease          time.Duration // of the leader; or 0
	lock           lockHolder
	leaderSessions int
	laterSessions  int       // of them, those of a leader whose term began in other tables
	readAt         time.Time // by the server's clock
}

// lockHolder is the session that holds the lock. Zero: there is none, or it is this session.
type lockHolder struct {
	holder.Holder
	ours       bool       // it is of this election
	lastActive *time.Time // by the server's clock; nil: the server does not say
}

// remember keeps who held the lock in the same term, if nobody does any more: how that ended is told by it.
func (r *leaderRow) remember(before leaderRow) {
	if r.lock.PID == 0 && r.term.Number == before.term.Number {
		r.lock = before.lock
	}
}

// foreign says whether the session is none of this election's.
func (h lockHolder) foreign() bool { return h.PID != 0 && !h.ours }

// standBy polls until the lock is this session's. It returns the last row that was read, with the session that held the
// lock before.
func (e *Elector) standBy(ctx context.Context, s *session) (leaderRow, error) {
	row, err := e.awaitSuccessor(ctx, s)
	for won := false; err == nil && !won; {
		e.noteStandby(row)
		wait, yielded := e.pollTime(row), e.options.Group.Leads()
		if yielded {
			if err = sleep(ctx, spread.YieldTime); err != nil {
				return row, err
			}
			wait = time.Millisecond // a try, rather than a place in the queue
		}
		before := row
		won, row, err = e.poll(ctx, s, wait)
		row.remember(before)
		if won && !e.options.Group.Acquire(yielded) {
			won, err = false, s.unlock(ctx)
		} else if !won && err == nil {
			row, err = e.proveSilence(ctx, s, row)
		}
	}
	return row, err
}

// sleep waits for d, unless ctx ends before.
func sleep(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(d):
		return nil
	}
}

// noteStandby notes that the database answered. A foreign holder counts when two reads in a row find it: a pooler that
// resets a leader's session clears its name an instant before it frees the lock.
func (e *Elector) noteStandby(row leaderRow) {
	role, denied := Standby, ""
	if row.lock.foreign() && row.lock.PID == e.foreignHolder {
		role = Outside
		denied = fmt.Sprintf("another application holds the lock of this election: %s; remedy: %s",
			row.lock, row.lock.Remedy())
	}
	switch before := e.status.read(); {
	case role == Outside && e.blockedBy != row.lock.PID:
		e.logger.Error("another application holds the lock of this election: "+
			"nobody can lead until that session lets it go", row.lock.Fields()...)
	case role == Outside:
	case before.Role != Standby:
		e.logger.Info("standing by", "leader", row.term.Holder, "term", row.term.Number)
	case before.Term.Number != row.term.Number:
		e.logger.Info("another replica leads now", "leader", row.term.Holder, "term", row.term.Number,
			"before", before.Holder)
	}
	if own := e.options.Fingerprint; row.hasAnother(own) && row.term.Number != e.differs {
		e.differs = row.term.Number
		e.logger.Warn("the leader has another configuration than this replica", "leader", row.term.Holder,
			"term", row.term.Number, "fingerprint", own, "fingerprint_of_leader", row.fingerprint)
	}
	e.stoodBy, e.unreachable, e.blockedBy, e.foreignHolder = true, "", 0, 0
	if row.lock.foreign() {
		e.foreignHolder = row.lock.PID
	}
	if role == Outside {
		e.blockedBy = row.lock.PID
	}
	e.status.answered(role, row)
	e.status.update(func(s *Status) { s.Denied = denied })
	e.status.busyFor(e.options.PollInterval + e.options.Lease + slack)
}

// hasAnother says whether the leader has said that it has another configuration than own.
func (row leaderRow) hasAnother(own string) bool {
	return own != "" && row.fingerprint != "" && row.fingerprint != own
}

// successorPoll is the interval at which a replica that stepped down reads whether another leads.
const successorPoll = 50 * time.Millisecond

// awaitSuccessor reads the leader row, and if this process has just stepped down, waits until another leads, or a lease
// has passed without one.
func (e *Elector) awaitSuccessor(ctx context.Context, s *session) (leaderRow, error) {
	row, err := e.readLeader(ctx, s)
	for err == nil && row.term.Number == e.handedOver && time.Now().Before(e.queuesAgainAt) {
		e.noteStandby(row)
		if err := sleep(ctx, successorPoll); err != nil {
			return row, err
		}
		row, err = e.readLeader(ctx, s)
	}
	return row, err
}

// readLeader reads the leader row.
func (e *Elector) readLeader(ctx context.Context, s *session) (leaderRow, error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	sql := inSchema(selectLeader, s.schema)
	sent := time.Now()
	row, err := s.scanLeader(s.conn.QueryRow(ctx, sql, s.election, e.sessionName("term "), e.sessionName("")))
	if err != nil {
		return row, fmt.Errorf("read the leader row: %w", err)
	}
	e.see(s, row, sent, time.Now())
	return row, nil
}

func (s *session) scanLeader(r pgx.Row) (row leaderRow, err error) {
	row.term.Election = s.election
	var (
		class   int64
		lockID  int32
		leaseMS int64
	)
	err = r.Scan(&class, &lockID,
		&row.term.Timeline, &row.term.Number, &row.term.Holder, &row.address, &row.since, &row.clean,
		&row.fingerprint, &row.server, &leaseMS,
		&row.lock.PID, &row.lock.Role, &row.lock.Name, &row.lock.Address, &row.lock.MayLead, &row.lock.ours,
		&row.lock.lastActive, &row.leaderSessions, &row.laterSessions, &row.readAt)
	row.lease = time.Duration(leaseMS) * time.Millisecond
	if errors.Is(err, pgx.ErrNoRows) {
		return row, errRowDeleted
	}
	if err != nil {
		return row, err
	}
	return row, s.sameLock(class, lockID)
}

// poll waits in the server's queue for the lock, for as long as wait, and reads the leader row, in one round trip. When
// ctx ends it asks the server to cancel the wait, rather than leave a dead waiter in the queue.
func (e *Elector) poll(ctx context.Context, s *session, wait time.Duration) (won bool, row leaderRow, err error) {
	var cancelling sync.WaitGroup
	cancelling.Add(1)
	stop := context.AfterFunc(ctx, func() {
		defer cancelling.Done()
		bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = s.conn.PgConn().CancelRequest(bounded) // if it does not arrive, the wait ends by itself
	})
	defer func() {
		if !stop() {
			cancelling.Wait()
		}
	}()

	// The server's own time-out, which is the lease, comes first.
	bounded, cancel := context.WithTimeout(context.WithoutCancel(ctx), wait+e.options.Lease+time.Second)
	defer cancel()
	batch := &pgx.Batch{}
	batch.Queue(inSchema(campaign, s.schema), s.classID, s.lockID, wait.Milliseconds()).
		QueryRow(func(r pgx.Row) error { return r.Scan(&won) })
	batch.Queue(inSchema(selectLeader, s.schema), s.election, e.sessionName("term "), e.sessionName("")).
		QueryRow(func(r pgx.Row) (err error) {
			row, err = s.scanLeader(r)
			return err
		})
	sent := time.Now()
	if err := s.conn.SendBatch(bounded, batch).Close(); err != nil {
		return false, leaderRow{}, fmt.Errorf("queue for the lock: %w", err)
	}
	e.see(s, row, sent, time.Now())
	return won, row, nil
}
