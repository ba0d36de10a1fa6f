package election

import (
	"context"
	"encoding/json"
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

// setting is one of the session's.
type setting struct {
	name  string
	value string // in the unit of pg_settings
	vital bool   // without it the lease is not one
}

// sessionSettings make the server end a session that has gone silent. They are in force before the session queues,
// because a dead standby at the head of the queue inherits the lock.
func sessionSettings(lease time.Duration) []setting {
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
	inForce, err := s.settings(ctx, slices.Collect(maps.Keys(values)))
	if err != nil {
		return fmt.Errorf("verify the session's settings: %w", err)
	}
	var missing []string
	for _, setting := range settings {
		if inForce[setting.name] == setting.value {
			continue
		}
		if setting.vital {
			return &refusal{fmt.Errorf("the server did not take %s = %s (it has %q), without which there is no lease: "+
				"connect directly, to a server that allows it", setting.name, setting.value, inForce[setting.name])}
		}
		missing = append(missing, setting.name)
	}
	if len(missing) > 0 {
		logger.Info("these settings are not in force on this connection, as with a unix socket: "+
			"a peer that is cut off is noticed later", "settings", strings.Join(missing, " "))
	}
	return nil
}

// settings reads the values in force.
func (s *session) settings(ctx context.Context, names []string) (map[string]string, error) {
	rows, err := s.conn.Query(ctx, showSettings, names)
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
