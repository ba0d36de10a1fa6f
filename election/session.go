package election

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// oldestServer is the first major version with every setting of the lease.
const oldestServer = 14

// connectTimeout bounds connecting and the set-up, each.
const connectTimeout = 5 * time.Second

// session is the connection that queues for the lock and holds it. One goroutine uses it at a time.
type session struct {
	conn     *pgx.Conn
	schema   string
	election string
	classID  int32 // with lockID: the advisory lock
	lockID   int32
}

// setting is one of the session's.
type setting struct {
	name  string
	value string // in the unit of pg_settings
	vital bool   // without it the lease is not one
}

// sessionSettings make the server end a session that has gone silent. They are in force before the session queues, because a dead
// standby at the head of the queue inherits the lock.
func sessionSettings(lease time.Duration) []setting {
	ms := strconv.FormatInt(lease.Milliseconds(), 10)
	// Not sooner than the lease: the end of the session must not come before the leader's own.
	probes := strconv.Itoa(max(3, int(math.Ceil(lease.Seconds()))))
	return []setting{
		{"idle_session_timeout", ms, true},                        // a leader that no longer pings
		{"client_connection_check_interval", "500", true},         // a waiter whose client went away
		{"statement_timeout", ms, true},                           // nothing here runs long
		{"idle_in_transaction_session_timeout", ms, true},         // likewise
		{"default_transaction_isolation", "read committed", true}, // a poll reads what was committed while it waited
		{"default_transaction_read_only", "off", true},            // the leader row is written
		{"lock_timeout", "0", true},                               // only a poll has one, and sets it itself
		{"plan_cache_mode", "force_generic_plan", false},          // nothing is planned twice, least of all while nobody leads
		{"tcp_keepalives_idle", "1", false},                       // a dead peer with nothing in flight
		{"tcp_keepalives_interval", "1", false},                   //
		{"tcp_keepalives_count", probes, false},                   //
		{"tcp_user_timeout", ms, false},                           // a dead peer with data in flight
	}
}

const (
	// Each by itself: where the server does not know or allow one, the others are set all the same, and what is missing is found by
	// asking.
	setSettings = `do $$
		declare s record;
		begin
			for s in select * from json_each_text('%s') loop
				begin
					perform set_config(s.key, s.value, false);
				exception when others then null;
				end;
			end loop;
		end $$`

	// current_setting asks the socket for the tcp settings; pg_settings has plain numbers for the others.
	showSettings = `select name, case when name like 'tcp%' then current_setting(name) else setting end
		from pg_settings where name = any($1::text[])`

	ensureElection = `insert into pgsolo.leader (election) values ($1) on conflict do nothing`

	selectLock = `select 'pgsolo.leader'::regclass::oid::bigint, lock_id, pg_is_in_recovery()
		from pgsolo.leader where election = $1`

	selectRecovery = `select pg_is_in_recovery()`
)

// open connects, puts the settings in force, and finds the lock.
func open(ctx context.Context, o Options, name string) (*session, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*connectTimeout)
	defer cancel()
	config := o.Config.Copy()
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["application_name"] = name
	conn, err := connect(ctx, config)
	if err != nil {
		return nil, err
	}
	s := &session{conn: conn, schema: o.Schema, election: o.Name}
	if err := s.setUp(ctx, o); err != nil {
		s.close()
		return nil, err
	}
	return s, nil
}

func (s *session) setUp(ctx context.Context, o Options) error {
	if err := s.applySettings(ctx, sessionSettings(o.Lease), o.Logger); err != nil {
		return err
	}
	var recovering bool
	if err := s.conn.QueryRow(ctx, selectRecovery).Scan(&recovering); err != nil {
		return fmt.Errorf("ask whether the server is a replica: %w", err)
	}
	if recovering {
		return errors.New("the server is a hot standby, where nobody can lead; connect to the primary")
	}
	if err := CheckSchema(ctx, s.conn, s.schema); err != nil {
		return err
	}
	if o.Check != nil {
		if err := o.Check(ctx, s.conn); err != nil {
			return s.judge(err)
		}
	}
	if _, err := s.conn.Exec(ctx, inSchema(ensureElection, s.schema), s.election); err != nil {
		return fmt.Errorf("enter election %q: %w", s.election, err)
	}
	var class int64
	if err := s.conn.QueryRow(ctx, inSchema(selectLock, s.schema), s.election).Scan(&class, &s.lockID, &recovering); err != nil {
		return fmt.Errorf("find the lock of election %q: %w", s.election, err)
	}
	s.classID = int32(uint32(class)) // the same 32 bits: an oid has no sign, the lock's key has one
	return s.rehearse(ctx)
}

// judge makes an error of Options.Check final, unless it is one of the connection or of the server.
func (s *session) judge(err error) error {
	_, answered := errors.AsType[*pgconn.PgError](err)
	if answered || s.conn.IsClosed() || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		return err
	}
	return &refusal{err}
}

// rehearse runs what begins and ends a term, for an election that does not exist, and so changes nothing and takes no transaction
// id. It leaves the server with the plans, and with what it has to know of the tables: a takeover is a millisecond shorter for
// it, and a handover too.
func (s *session) rehearse(ctx context.Context) error {
	const nowhere = "" // no election has this name
	if _, err := s.conn.Exec(ctx, inSchema(promote, s.schema), nowhere, "", "", "", keptTerms); err != nil {
		return fmt.Errorf("rehearse the beginning of a term: %w", err)
	}
	if _, err := s.conn.Exec(ctx, inSchema(resign, s.schema), nowhere, 0, 0, ""); err != nil {
		return fmt.Errorf("rehearse the end of a term: %w", err)
	}
	for _, statement := range []string{lockTerms, countRoom, unlock} {
		if _, err := s.conn.Prepare(ctx, statement, statement); err != nil {
			return fmt.Errorf("prepare what a takeover needs: %w", err)
		}
	}
	return nil
}

// checkVersion refuses a server that is too old. Its argument is like "15.4 (Debian 15.4-1)" or "18rc1".
func checkVersion(version string) error {
	var major int
	if _, err := fmt.Sscanf(version, "%d", &major); err == nil && major < oldestServer {
		return &refusal{fmt.Errorf("PostgreSQL %s cannot enforce a lease; want %d or newer", version, oldestServer)}
	}
	return nil
}

// applySettings sets and then verifies, since a pooler or a managed service may swallow a SET.
func (s *session) applySettings(ctx context.Context, settings []setting, logger hclog.Logger) error {
	values := map[string]string{}
	for _, setting := range settings {
		values[setting.name] = setting.value
	}
	text, err := json.Marshal(values) // of names and numbers of ours: nothing to quote
	if err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	if _, err := s.conn.Exec(ctx, fmt.Sprintf(setSettings, text)); err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	rows, err := s.conn.Query(ctx, showSettings, slices.Collect(maps.Keys(values)))
	if err != nil {
		return fmt.Errorf("verify the session's settings: %w", err)
	}
	inForce := map[string]string{}
	var name, value string
	if _, err := pgx.ForEachRow(rows, []any{&name, &value}, func() error { inForce[name] = value; return nil }); err != nil {
		return fmt.Errorf("verify the session's settings: %w", err)
	}
	var missing []string
	for _, setting := range settings {
		if inForce[setting.name] == setting.value {
			continue
		}
		if setting.vital {
			return &refusal{fmt.Errorf("the server did not take %s = %s (it has %q), without which there is no lease: connect directly, "+
				"to a server that allows it", setting.name, setting.value, inForce[setting.name])}
		}
		missing = append(missing, setting.name)
	}
	if len(missing) > 0 {
		logger.Info("these settings are not in force on this connection, as with a unix socket: a peer that is cut off is noticed later",
			"settings", strings.Join(missing, " "))
	}
	return nil
}

// close ends the session. A lock that it still holds is free as soon as the server notices.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = s.conn.Close(ctx) // an error here says only that the connection was broken already
}

// hangUp breaks the connection under whoever uses it.
func (s *session) hangUp() { _ = s.conn.PgConn().Conn().Close() }
