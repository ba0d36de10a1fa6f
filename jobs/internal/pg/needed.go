package pg

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"
)

// needed is what a leader needs in the schema where it does not own the tables, the optional included. README 'Roles'
// grants that: a test of package replica revokes one after the other.
var needed = []string{
	"select, insert, update on cursor", "select, insert, update on handler_term", "select, insert, update on doorbell",
	"select, insert, update, delete on delivery", "select, insert, update, delete on handler_cut_off",
	"select, insert, update on cron_leader", "select, insert, update on cron_job",
	"select, insert, update on cron_position", "select, insert, update, delete on cron_run",
	"select, insert, update, delete on cron_decision", "select, update, delete on dedup", "select, delete on event",
	"select on log", "select on topic", "select on jobs_group", "select on configuration", "select on undeclared",
	"select on jobs_migration", "select on sequence event_id_seq", "update on sequence doorbell_armed",
	"execute on function know", "execute on function arm", "execute on function attend", "execute on function leave",
	"execute on function declare_configuration", "execute on function count_led", "execute on function left_topics",
	"execute on function declared_events", "execute on function check_log", "execute on function note_checked",
	// Which everybody may execute, unless somebody has taken that away.
	"execute on function was_in_job", "execute on function printed", "execute on function max_payload",
	"execute on function log_counter", "execute on function highest_term", "execute on function is_new",
	"execute on function is_retired", "execute on function is_led", "execute on function has_left",
}

// notAllowed is an answer that the role lacks a privilege, with what to grant.
type notAllowed struct {
	err    error
	grants string
}

func (e *notAllowed) Error() string { return e.err.Error() + "; remedy: " + e.grants }
func (e *notAllowed) Unwrap() error { return e.err }

// NameGrants is NameGrants on a session of the pool.
func (db DB) NameGrants(ctx context.Context, err error) error {
	return NameGrants(ctx, db.Pool, db.Schema, err)
}

// NameGrants adds to the server's answer that the role lacks a privilege which grants it lacks. Where it lacks none,
// what was refused is somebody else's: a trigger's, for example.
func NameGrants(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, schema string, err error) error {
	if _, named := errors.AsType[*notAllowed](err); named || !IsNotAllowed(err) {
		return err
	}
	if grants := Lacking(ctx, db, schema, needed); grants != "" {
		return &notAllowed{err, grants}
	}
	return err
}
