// Package settings has what is in force on the session that holds the lock.
package settings

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
)

// ErrLease means that the server cannot be made to end a silent session.
var ErrLease = errors.New("the server enforces no lease")

// setting is one of the session's.
type setting struct {
	name  string
	value string // in the unit of pg_settings
	vital bool   // without it the lease is not one
}

// ofLease makes the server end a session that has gone silent. That is in force before the session queues, because a
// dead standby at the head of the queue inherits the lock.
func ofLease(lease time.Duration) []setting {
	ms := strconv.FormatInt(lease.Milliseconds(), 10)
	// Not sooner than the lease: the end of the session must not come before the leader's own.
	probes := strconv.Itoa(max(3, int(math.Ceil(lease.Seconds()))))
	return []setting{
		{"idle_session_timeout", ms, true},                        // a leader that no longer pings
		{"client_connection_check_interval", "500", true},         // a waiter whose client went away
		{"statement_timeout", ms, true},                           // no statement here runs long
		{"idle_in_transaction_session_timeout", ms, true},         // likewise
		{"default_transaction_isolation", "read committed", true}, // a poll reads what was committed while it waited
		{"default_transaction_read_only", "off", true},            // the leader row is written
		{"row_security", "off", true},                             // a hidden row is refused, not missing
		{"lock_timeout", "0", true},                               // only a poll has one, and sets it itself
		{"plan_cache_mode", "force_generic_plan", false},          // a takeover plans nothing anew
		{"tcp_keepalives_idle", "1", false},                       // a dead peer with nothing in flight
		{"tcp_keepalives_interval", "1", false},                   //
		{"tcp_keepalives_count", probes, false},                   //
		{"tcp_user_timeout", ms, false},                           // a dead peer with data in flight
	}
}

const (
	// Each setting by itself: where the server does not know or allow one, the others are set all the same, and what is
	// missing is found by asking.
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
)

// Apply puts OwnSettings and those of the lease in force, and then verifies, since a pooler or a managed service may
// swallow a SET. An error that is an ErrLease is that of a server that takes no lease.
func Apply(ctx context.Context, conn *pgx.Conn, lease time.Duration, logger hclog.Logger) error {
	settings := ofLease(lease)
	values := map[string]string{}
	for _, setting := range settings {
		values[setting.name] = setting.value
	}
	text, err := json.Marshal(values) // of names and numbers of ours: nothing to quote
	if err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	if _, err := conn.Exec(ctx, OwnSettings+fmt.Sprintf(setSettings, text)); err != nil {
		return fmt.Errorf("set up the session: %w", err)
	}
	inForce, err := inForceOf(ctx, conn, slices.Collect(maps.Keys(values)))
	if err != nil {
		return fmt.Errorf("verify the session's settings: %w", err)
	}
	var missing []string
	for _, setting := range settings {
		if inForce[setting.name] == setting.value {
			continue
		}
		if setting.vital {
			return fmt.Errorf("%w: it did not take %s = %s (it has %q): connect directly, to a server that allows it",
				ErrLease, setting.name, setting.value, inForce[setting.name])
		}
		missing = append(missing, setting.name)
	}
	if len(missing) > 0 {
		logger.Info("these settings are not in force on this connection, as with a unix socket: "+
			"a peer that is cut off is noticed later", "settings", strings.Join(missing, " "))
	}
	return nil
}

// inForceOf reads the values in force.
func inForceOf(ctx context.Context, conn *pgx.Conn, names []string) (map[string]string, error) {
	rows, err := conn.Query(ctx, showSettings, names)
	if err != nil {
		return nil, err
	}
	inForce := map[string]string{}
	var name, value string
	_, err = pgx.ForEachRow(rows, []any{&name, &value}, func() error {
		inForce[name] = value
		return nil
	})
	return inForce, err
}
