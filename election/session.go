package election

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/election/internal/direct"
	"github.com/pgsolo/pgsolo/election/internal/registry"
	"github.com/pgsolo/pgsolo/election/internal/settings"
)

// connectTimeout bounds connecting and the set-up, each.
const connectTimeout = 5 * time.Second

// session is the connection that queues for the lock and holds it. One goroutine uses it at a time.
type session struct {
	conn     *pgx.Conn
	schema   string
	election string
	classID  int32 // with lockID: the advisory lock
	lockID   int32

	server   direct.Server
	openedAt time.Time // when server was read, on the monotonic clock
	met      int64     // the term whose leader held the lock at a read of this session; 0: none

	highestTerm int64 // of the history, when the session began
}

const (
	// It names the key, without which the table is not complete yet: a restore would find the row there.
	ensureElection = `insert into pgsolo.leader (election) values ($1) on conflict (election) do nothing`

	selectLock = `select 'pgsolo.leader'::regclass::oid::bigint, lock_id, pg_is_in_recovery()
		from pgsolo.leader where election = $1`
)

// open connects, puts the settings in force, and finds the lock.
func open(ctx context.Context, o Options, name string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	config := o.Config.Copy()
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["application_name"] = name
	config.RuntimeParams["client_encoding"] = "UTF8" // whatever that of the database is
	conn, err := direct.Connect(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, schema: o.Schema, election: o.Name}
	if err := s.setUp(ctx, o, strings.TrimSuffix(name, "standby")+"term "); err != nil {
		err = explain(ctx, s.conn, s.schema, err)
		s.close()
		return nil, err
	}
	return s, nil
}

// setUp prepares the session. room is how the names of leaders' sessions begin.
func (s *session) setUp(ctx context.Context, o Options, room string) (err error) {
	if err := settings.Apply(ctx, s.conn, o.Lease, o.Logger); errors.Is(err, settings.ErrLease) {
		return &refusal{err}
	} else if err != nil {
		return err
	}
	var recovering bool
	if s.server, recovering, err = direct.Ask(ctx, s.conn); err != nil {
		return err
	}
	s.openedAt = time.Now()
	if recovering {
		return errors.New("the server is a hot standby, where nobody can lead; connect to the primary")
	}
	if err := CheckSchema(ctx, s.conn, s.schema); err != nil {
		return err
	}
	if o.Check != nil {
		if err := o.Check(ctx, s.conn); err != nil {
			return s.checkError(err)
		}
	}
	if err := s.awaitDeleted(ctx, room); err != nil {
		return err
	}
	if _, err := s.conn.Exec(ctx, inSchema(ensureElection, s.schema), s.election); err != nil {
		return fmt.Errorf("enter election %q: %w", s.election, err)
	}
	var class int64
	err = s.conn.QueryRow(ctx, inSchema(selectLock, s.schema), s.election).Scan(&class, &s.lockID, &recovering)
	if err != nil {
		return fmt.Errorf("find the lock of election %q: %w", s.election, err)
	}
	if err := s.readHighestTerm(ctx); err != nil {
		return err
	}
	s.classID = signed(class)
	if err := s.register(ctx, o); err != nil {
		return err
	}
	if err := s.warmUp(ctx); err != nil {
		return err
	}
	if _, err := s.conn.Exec(ctx, boundSilence, milliseconds(o.pollSilence())); err != nil {
		return fmt.Errorf("bound the silence of a standby: %w", err)
	}
	return nil
}

// boundSilence is in force from the first poll until a term begins.
const boundSilence = `select set_config('idle_session_timeout', $1, false)`

// silenceMargin is what a network and a busy machine may take from one poll to the next.
const silenceMargin = time.Second

// pollSilence is how long a session that has not begun a term may be silent. A standby that is frozen at the head of
// the queue inherits the lock when the leader's session ends, and keeps the next one waiting for so long. While it
// waits in the queue it is not silent to the server: the end of the poll takes it out of there.
func (o Options) pollSilence() time.Duration { return min(o.Lease, o.longestPoll()+silenceMargin) }

func milliseconds(d time.Duration) string { return strconv.FormatInt(d.Milliseconds(), 10) }

// register makes this replica known. One that may not, or is held up by another session's lock, takes part all the
// same.
func (s *session) register(ctx context.Context, o Options) error {
	place := func(sql string) string { return inSchema(sql, s.schema) }
	err, notPruned := registry.Register(ctx, s.conn, place, registry.Replica{
		Election: s.election, Node: direct.Fit(s.conn, o.Holder), Address: direct.Fit(s.conn, o.Address),
		Version: direct.Fit(s.conn, o.Version), Fingerprint: o.Fingerprint,
	})
	switch {
	case s.conn.IsClosed():
		return cmp.Or(err, notPruned)
	case err != nil:
		o.Logger.Warn("the list of replicas lacks this one", "error", explain(ctx, s.conn, s.schema, err))
	case notPruned != nil:
		o.Logger.Warn("the list of replicas keeps those that have gone", "error",
			explain(ctx, s.conn, s.schema, notPruned))
	}
	return nil
}

// checkError makes an error of Options.Check a failure of it, unless it is one of the connection or of the server.
func (s *session) checkError(err error) error {
	_, answered := errors.AsType[*pgconn.PgError](err)
	if answered || s.conn.IsClosed() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return &checkFailure{err}
}

// warmUp runs what begins and ends a term, for an election that does not exist, and so changes nothing and takes no
// transaction id. It leaves the server with the plans and its caches with the tables: a takeover is a millisecond
// shorter for it, and a handover too.
func (s *session) warmUp(ctx context.Context) error {
	const nowhere = "" // no election has this name
	if _, err := s.conn.Exec(ctx, inSchema(beginTerm, s.schema), nowhere, "", "", "",
		"", 0, 0, "", "", "", 0); err != nil {
		return fmt.Errorf("rehearse the beginning of a term: %w", err)
	}
	if _, err := s.conn.Exec(ctx, inSchema(resign, s.schema), nowhere, 0, 0, ""); err != nil {
		return fmt.Errorf("rehearse the end of a term: %w", err)
	}
	for _, statement := range []string{lockTerms, inSchema(countLeaderSessions, s.schema), unlock} {
		if _, err := s.conn.Prepare(ctx, statement, statement); err != nil {
			return fmt.Errorf("prepare what a takeover needs: %w", err)
		}
	}
	return nil
}

// close ends the session. A lock that it still holds is free as soon as the server notices.
func (s *session) close() { closeConn(s.conn) }

func closeConn(conn *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = conn.Close(ctx) // an error here says only that the connection was broken already
}

// abort breaks the connection, and with it what another goroutine does on it.
func (s *session) abort() { _ = s.conn.PgConn().Conn().Close() }
