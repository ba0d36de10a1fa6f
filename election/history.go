package election

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/election/internal/direct"
	"github.com/pgsolo/pgsolo/election/internal/holder"
	"github.com/pgsolo/pgsolo/election/internal/settings"
)

// How a term ended. A leader writes the first two itself, and the third if it can; the rest is what its successor
// concludes.
const (
	endedResigned     = "resigned"
	endedSteppedDown  = "stepped down"
	endedSessionLost  = "session lost"
	endedLeaseExpired = "lease expired"
	endedFenced       = "fenced"
)

// keptTerms is how many terms of an election are kept.
const keptTerms = 1000

const (
	// lockTerms makes the elections of a schema begin their terms one after the other; no election has the id 0. From
	// the commit on, the session may be silent for the lease, and no longer for pollSilence alone. Only the lock of the
	// terms is waited for no longer than $3.
	lockTerms = `select set_config('lock_timeout', $3, true), pg_advisory_xact_lock($1, 0),
			set_config('idle_session_timeout', $2, false), set_config('lock_timeout', '0', true)`

	// lockTable is in its place where a role that may not lead has that lock. Whoever begins a term after all with that
	// lock, because it was let go meanwhile, waits for this one before its statement sees a term.
	lockTable   = `lock table pgsolo.leader in share row exclusive mode`
	allowLease  = `select set_config('idle_session_timeout', $1, false)`
	maxTermWait = 300 * time.Millisecond

	// Terms rise over all elections of a schema, so that what is fenced with one can move to another election. The
	// timeline is in the first eight digits of the current segment's name. What a leader said at its end stands, but
	// that it left sessions is more.
	beginTerm = `with leader as (
			update pgsolo.leader l
			set term = greatest($11, (select max(m.term) + 1 from pgsolo.leader m)), holder = $2, address = $3,
				since = clock_timestamp(), clean = false, step_down = null,
				fingerprint = nullif($10, ''),
				fingerprint_term = greatest($11, (select max(m.term) + 1 from pgsolo.leader m)),
				timeline = ('x' || substr(pg_walfile_name(pg_current_wal_lsn()), 1, 8))::bit(32)::integer
			where election = $1 and ` + holdsLock + `
			returning timeline, term, since
		), previous as (
			update pgsolo.leader_term t set until = leader.since, ended = $4
			from leader where t.election = $1 and (t.until is null or t.term = $7 and t.ended = $8 and $4 = $9)
		), begun as (
			insert into pgsolo.leader_term (election, timeline, term, holder, address, since, server, lease_ms)
			select $1, timeline, term, $2, $3, since, $5, $6 from leader
		)
		select timeline, term, since from leader`

	pruneTerms = `delete from pgsolo.leader_term t using (
			select timeline, term from pgsolo.leader_term
			where election = $1 order by timeline desc, term desc offset $2
		) old
		where t.election = $1 and t.timeline = old.timeline and t.term = old.term`

	resign = `with leader as (
			update pgsolo.leader set clean = true where election = $1 and timeline = $2 and term = $3
		)
		update pgsolo.leader_term set until = clock_timestamp(), ended = $4
		where election = $1 and timeline = $2 and term = $3 and until is null`

	// The word of a leader that was lost: it changes nothing once a successor has begun.
	endTerm = `update pgsolo.leader_term set until = clock_timestamp(), ended = '` + endedSessionLost + `'
		where election = $1 and timeline = $2 and term = $3 and until is null`

	unlock = `select pg_advisory_unlock($1, $2)`

	askToStepDown = `select pgsolo.step_down($1)`
)

// beginTerm begins the term after before, with a number that is not below lowest, provided that the lock is really this
// session's. ended is how that ended, unless its leader has written that down.
//
// Once it is sent, the end of ctx does not keep the server from committing it, and its answer is waited for: a term of
// which this process does not know would not end.
func (s *session) beginTerm(ctx context.Context, o Options, before, lowest int64, ended string) (leaderRow, error) {
	if ctx.Err() != nil {
		return leaderRow{}, context.Cause(ctx)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	row := leaderRow{
		term: Term{Election: s.election, Holder: o.Holder}, address: o.Address, fingerprint: o.Fingerprint,
	}
	// One transaction, in which the last statement sees what others committed before the first was done.
	end := ""
	begin := func(batch *pgx.Batch) error {
		batch.Queue(inSchema(beginTerm, s.schema), s.election,
			direct.Fit(s.conn, o.Holder), direct.Fit(s.conn, o.Address), ended,
			s.server.Start, o.Lease.Milliseconds(), before, endedSessionLost, endedFenced, o.Fingerprint, lowest).
			QueryRow(func(r pgx.Row) error { return r.Scan(&row.term.Timeline, &row.term.Number, &row.since) })
		if end != "" {
			batch.Queue(end)
		}
		return s.conn.SendBatch(ctx, batch).Close()
	}
	lease, batch := milliseconds(o.Lease), &pgx.Batch{}
	batch.Queue(lockTerms, s.classID, lease, milliseconds(min(maxTermWait, o.Lease/10)))
	err := begin(batch)
	if isLocked(err) {
		batch = &pgx.Batch{}
		if s.areTermsDenied(ctx, o) {
			batch.Queue(`begin`) // which that statement wants
			batch.Queue(inSchema(lockTable, s.schema))
			batch.Queue(allowLease, lease)
			end = `commit`
		} else {
			batch.Queue(lockTerms, s.classID, lease, "0")
		}
		err = begin(batch)
	}
	if errors.Is(err, pgx.ErrNoRows) {
		if err := s.checkLock(ctx); err != nil {
			return row, fmt.Errorf("begin a term: %w", err)
		}
		return row, &refusal{errors.New("won the lock, but this session does not hold it: " +
			"there is a pooler in between; connect directly")}
	}
	if err != nil {
		return row, fmt.Errorf("begin a term: %w", err)
	}
	return row, nil
}

// prune deletes old terms, once the first ping has been answered: neither a takeover nor the term waits for that. The
// statement waits for no lock for longer than a ping may.
func (l *leadership) prune(ctx context.Context) {
	if l.pruned {
		return
	}
	l.pruned = true
	_, err := l.session.conn.Exec(ctx, inSchema(pruneTerms, l.options.Schema), l.options.Name, keptTerms)
	if err != nil && !l.session.conn.IsClosed() {
		l.logger.Warn("old terms are not deleted from the history, which grows", "error",
			explain(ctx, l.session.conn, l.options.Schema, err))
	}
}

// areTermsDenied says whether the lock of the terms is held by a session whose role may not lead, and logs whose.
func (s *session) areTermsDenied(ctx context.Context, o Options) bool {
	by, err := holder.Of(ctx, s.conn, func(sql string) string { return inSchema(sql, s.schema) }, s.classID, 0)
	if err != nil || by.PID == 0 || by.MayLead {
		return false
	}
	o.Logger.Warn("another application holds the lock under which terms begin: this one begins without", by.Fields()...)
	return true
}

// resign writes the end of the term, and only then frees the lock: the successor must find it.
func (s *session) resign(ctx context.Context, term Term, reason string) error {
	batch := &pgx.Batch{}
	batch.Queue(`set lock_timeout = 0`)
	batch.Queue(inSchema(resign, s.schema), s.election, term.Timeline, term.Number, reason)
	if err := s.conn.SendBatch(ctx, batch).Close(); err != nil {
		return fmt.Errorf("write the end of the term: %w", explain(ctx, s.conn, s.schema, err))
	}
	return s.unlock(ctx)
}

// giveBack resigns a term in which nothing was done, for the reason that it returns: otherwise its successor would take
// it for one whose leader has crashed.
func (s *session) giveBack(ctx context.Context, term Term, reason error) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), connectTimeout)
	defer cancel()
	if err := s.resign(ctx, term, endedResigned); err != nil {
		return fmt.Errorf("%w; not resigned: %w", reason, err)
	}
	return reason
}

const (
	// The intervals at which a leader that was lost tries to write the end of its term.
	minLastWord = 10 * time.Millisecond
	maxLastWord = 100 * time.Millisecond

	lastWordLock = `set lock_timeout = '100ms'` // so that there is time to say who has it
)

// lastWord writes the end of a term that was lost, once everything of it has stopped: after a restart of the server its
// successor waits for that. It tries, on connections of its own, until 0.9 of the lease is over: soon after, there is
// nothing to say any more. It returns the reason to lose the leadership, with who keeps the tables locked, if that is
// known now.
func (l *leadership) lastWord(lost error) error {
	sent, _ := l.trust.Proved()
	ctx, cancel := context.WithTimeout(context.Background(), l.part(exitAt)-sent.Elapsed(l.clock.Now()))
	defer cancel()
	var refused error // the latest answer of the server
	for wait := minLastWord; ; wait = min(2*wait, maxLastWord) {
		err := l.writeEnd(ctx)
		if err == nil {
			l.logger.Info("everything has stopped, and that is written down", "term", l.term.Number)
			return lost
		}
		if refused == nil || codeOf(err) != "" {
			refused = err
		}
		if !ofTables(err) && sleep(ctx, wait) == nil {
			continue
		}
		l.logger.Warn("everything has stopped, and that could not be written down: after a restart of the server "+
			"the next leader waits for the end of the lease", "term", l.term.Number, "error", refused)
		if isLocked(refused) {
			return fmt.Errorf("%w: %w", lost, refused)
		}
		return lost
	}
}

func (l *leadership) writeEnd(ctx context.Context) error {
	config := l.options.Config.Copy()
	config.RuntimeParams["application_name"] = l.sessionName("standby")
	config.ConnectTimeout = time.Second
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, settings.OwnSettings+lastWordLock); err != nil {
		return fmt.Errorf("write the end of the term: %w", err)
	}
	sql := inSchema(endTerm, l.options.Schema)
	if _, err := conn.Exec(ctx, sql, l.options.Name, l.term.Timeline, l.term.Number); err != nil {
		return fmt.Errorf("write the end of the term: %w", explain(ctx, conn, l.options.Schema, err))
	}
	return nil
}

// unlock frees the lock.
func (s *session) unlock(ctx context.Context) error {
	if _, err := s.conn.Exec(ctx, unlock, s.classID, s.lockID); err != nil {
		return fmt.Errorf("free the lock: %w", err)
	}
	return nil
}

// StepDown asks the leader of this election, in whatever process, to hand over to another replica, and returns its
// term. The leader reads it with its next ping, drains, resigns, and queues again once another leads or a lease has
// passed. SQL does the same:
//
//	select pgsolo.step_down('main');
//
// An error is about reaching the database, or says that no replica has taken part in the election yet.
func (e *Elector) StepDown(ctx context.Context) (term int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, connectTimeout)
	defer cancel()
	conn, err := pgx.ConnectConfig(ctx, e.options.Config.Copy())
	if err != nil {
		return 0, fmt.Errorf("step down: connect: %w", err)
	}
	defer closeConn(conn)
	if _, err := conn.Exec(ctx, settings.OwnSettings); err != nil {
		return 0, fmt.Errorf("step down: prepare session: %w", err)
	}
	var asked *int64
	if err := conn.QueryRow(ctx, inSchema(askToStepDown, e.options.Schema), e.options.Name).Scan(&asked); err != nil {
		return 0, fmt.Errorf("step down: %w", err)
	}
	if asked == nil {
		return 0, fmt.Errorf("step down: no replica has taken part in election %q yet", e.options.Name)
	}
	return *asked, nil
}

// A leader row that was deleted, or restored by itself, is behind the history.
const selectHighestTerm = `select coalesce(max(term), 0) from pgsolo.leader_term`

// readHighestTerm notes what the history has.
func (s *session) readHighestTerm(ctx context.Context) error {
	if err := s.conn.QueryRow(ctx, inSchema(selectHighestTerm, s.schema)).Scan(&s.highestTerm); err != nil {
		return fmt.Errorf("read the highest term: %w", err)
	}
	return nil
}
