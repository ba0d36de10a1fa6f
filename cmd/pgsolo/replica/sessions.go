package replica

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/listener"
)

// checkClient has the server look after the client ten times a second while a statement runs: one whose leader was
// killed does not run on.
const checkClient = `set client_connection_check_interval = 100; `

// letGo has a step of the engines that waits for a lock give its session back, and come again: other steps need it
// meanwhile, those of other elections too. It is above the usual deadlock_timeout, after which autovacuum ends for who
// waits.
const letGo = `set lock_timeout = '1500ms'; `

// What sessions have in force: those of pgsolo's own statements, and those of the user's outside of the log's
// transactions. Not as parameters of the start, which a pooler refuses.
const (
	ownSettings  = jobs.SessionSettings + letGo + checkClient
	userSettings = jobs.StatementSettings + checkClient
)

const selectServerStart = `select (extract(epoch from pg_catalog.pg_postmaster_start_time())
	operator(pg_catalog.*) 1000000::numeric)::bigint; `

// Where a session of a pool keeps its application_name, and the start of its server.
const (
	nameKey        = "application_name"
	serverStartKey = "server_start"
)

// The application_name of a session that serves no leader, and that of the listener.
const (
	idleName     = "pgsolo idle"
	listenerName = "pgsolo listener"
)

// sessions are those of the process that its elections share. Beside them, each election has one for its lock, and
// those that this process leads have one together that says so.
//
// A session of a pool bears the name of the leadership that it was last taken for, from when it is taken until another
// one takes it, or the leadership has ended: the successor of that one waits for its end, and may end it. So what
// a successor ends works for its predecessor, or for nobody. A session is not renamed each time that it is given back,
// which would be a round trip more for each statement, and a lone leadership always has one that bears its name.
//
// The listener bears no leadership's name. It works on nothing, and serves all elections.
type sessions struct {
	pool         *pgxpool.Pool // of the engines
	statements   *pgxpool.Pool // of statements outside of the log's transactions; nil: there are none
	listener     *listener.Listener
	transactions *eventlog.Transactions // have sessions of pool for as long as events take
	logger       hclog.Logger

	unnaming sync.WaitGroup // of what takes names away

	mu    sync.Mutex         // guards leads
	leads map[string]leading // by the name of their sessions
}

// leading is a leadership of this process.
type leading struct {
	name   string    // application_name of its sessions
	server time.Time // the start of the server that holds its lock; zero: any server will do
}

// leadingKey is where a context has the leadership that takes a session.
type leadingKey struct{}

// standing is a context for sessions that serve no leadership.
func standing(ctx context.Context) context.Context {
	return context.WithValue(ctx, leadingKey{}, leading{name: idleName})
}

// newSessions connects to nothing yet, but for the pool, which begins to.
func newSessions(of *config.Config, options Options) (_ *sessions, err error) {
	s := &sessions{leads: map[string]leading{}, logger: options.Logger}
	base, err := of.Postgres.PoolConfig()
	if err != nil {
		return nil, err
	}
	most := maxSessions(base.ConnConfig, of.Postgres.MaxSessions, options.Logger)
	if couldUse, _, short := Shortage(of, most); short {
		options.Logger.Warn("handlers and cron jobs take turns with the sessions of the database: "+
			"raise postgres.max_sessions if they wait", "max_sessions", most, "could_use", couldUse)
	}
	shares := newShares(of, most)
	listens := base.ConnConfig.Copy()
	listens.RuntimeParams["application_name"] = listenerName
	s.listener, err = listener.New(listener.Options{
		Config: listens, Accept: s.acceptAll, Buffer: MessageBuffer, Logger: options.Logger.Named("listener"),
	})
	if err != nil {
		return nil, err
	}
	if shares.statements > 0 {
		if s.statements, err = s.newStatementPool(base.Copy(), shares.statements); err != nil {
			return nil, err
		}
	}
	if s.pool, err = s.newPool(base, shares.pool); err != nil {
		s.close()
		return nil, err
	}
	s.transactions = eventlog.NewTransactions(s.pool)
	return s, nil
}

// closeTime is how long the end of the sessions may take. What is left ends with the process.
const closeTime = 5 * time.Second

// close ends the sessions, and waits for those that are in use. Nothing should be by then; but one may hang, as the
// cleaning of another, at a server that does not answer.
func (s *sessions) close() {
	closed := make(chan struct{})
	go func() {
		defer close(closed)
		s.unnaming.Wait()
		if s.pool != nil {
			s.pool.Close()
		}
		if s.statements != nil {
			s.statements.Close()
		}
	}()
	select {
	case <-closed:
	case <-time.After(closeTime):
		s.logger.Warn("sessions of the database have not ended, and do so with the process", "waited", closeTime)
	}
}

// serve returns the context of a leadership, for which sessions are taken with it, until done is called: soon after, no
// session bears its name any more, which a later leader's successor would take for one that was left behind.
func (s *sessions) serve(ctx context.Context, term election.Term) (serving context.Context, done func()) {
	of := leading{term.Session, term.ServerStart}
	s.mu.Lock()
	s.leads[of.name] = of
	s.mu.Unlock()
	return context.WithValue(ctx, leadingKey{}, of), func() {
		s.mu.Lock()
		delete(s.leads, of.name)
		s.mu.Unlock()
		s.unnaming.Go(s.unname) // which the successor of one that has resigned does not wait for
		s.listener.Rename()     // or rather: it asks acceptAll again
	}
}

// unname takes the names of leaderships from all sessions that are not in use. What another leadership takes meanwhile
// gets its name again.
func (s *sessions) unname() {
	ctx, cancel := context.WithTimeout(standing(context.Background()), cleanTime)
	defer cancel()
	for _, pool := range []*pgxpool.Pool{s.pool, s.statements} {
		if pool == nil {
			continue
		}
		for _, conn := range pool.AcquireAllIdle(ctx) {
			conn.Release()
		}
	}
}

func (s *sessions) prepareSessions(config *pgxpool.Config, settings string) {
	config.ConnConfig.OnNotification = dropNotification
	config.AfterConnect = func(ctx context.Context, conn *pgx.Conn) error {
		return prepareSession(ctx, conn, settings)
	}
	config.PrepareConn = func(ctx context.Context, conn *pgx.Conn) (bool, error) {
		of, ok := ctx.Value(leadingKey{}).(leading)
		if !ok {
			return true, errNoLeadership
		}
		return take(ctx, conn, of) == nil, nil // another session, if this one is broken or elsewhere
	}
}

// errNoLeadership is a mistake in this program: a session without the right name would escape the successor.
var errNoLeadership = errors.New("a session is taken with a context that does not say for which leadership")

// dropNotification is for channels that a statement of the user listens to. pgx would keep what comes for ever.
func dropNotification(*pgconn.PgConn, *pgconn.Notification) {}

// prepareSession puts the settings of a new session in force, in one round trip. It serves no leadership until it is
// taken: who waited for it may have gone.
func prepareSession(ctx context.Context, conn *pgx.Conn, settings string) error {
	statements := selectServerStart + settings + "set application_name = '" + idleName + "'"
	results, err := conn.PgConn().Exec(ctx, statements).ReadAll()
	if err != nil {
		return fmt.Errorf("prepare session: %w", err)
	}
	start, err := serverStart(results)
	if err != nil {
		return fmt.Errorf("prepare session: %w", err)
	}
	data := conn.PgConn().CustomData()
	data[nameKey], data[serverStartKey] = idleName, start
	if of, ok := ctx.Value(leadingKey{}).(leading); ok {
		return of.accept(start)
	}
	return nil
}

func serverStart(results []*pgconn.Result) (time.Time, error) {
	micros, err := strconv.ParseInt(string(results[0].Rows[0][0]), 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the start of the server: %w", err)
	}
	return time.UnixMicro(micros), nil
}

// take gives a session of a pool the leadership's name, if it has another one, and refuses one that is elsewhere.
func take(ctx context.Context, conn *pgx.Conn, of leading) error {
	data := conn.PgConn().CustomData()
	start, _ := data[serverStartKey].(time.Time)
	if err := of.accept(start); err != nil {
		return err
	}
	if data[nameKey] == of.name {
		return nil
	}
	if _, err := conn.Exec(ctx, `select pg_catalog.set_config('application_name', $1, false)`, of.name); err != nil {
		return fmt.Errorf("name session: %w", err)
	}
	data[nameKey] = of.name
	return nil
}

// accept refuses sessions of a leadership that are not on the server that holds its lock: the name in the URL leads to
// another one by now. A standby may have them anywhere.
func (l leading) accept(serverStart time.Time) error {
	if l.server.IsZero() || serverStart.Equal(l.server) {
		return nil
	}
	return fmt.Errorf("the session is on a server that was started at %s, the leader's lock on one of %s: "+
		"the name in postgres.url leads to more than one server, or to another one than before",
		serverStart.UTC().Format(time.RFC3339Nano), l.server.UTC().Format(time.RFC3339Nano))
}

// acceptAll is accept for every leadership of this process.
func (s *sessions) acceptAll(serverStart time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, of := range s.leads {
		if err := of.accept(serverStart); err != nil {
			return err
		}
	}
	return nil
}
