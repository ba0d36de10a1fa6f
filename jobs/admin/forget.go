package admin

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

var (
	// ErrDeclared means that a leader which lives declares the name. The remedy is to take it out of the configuration
	// first, or to stop the replicas.
	ErrDeclared = errors.New("a leader declares it")

	// ErrUnknownName means that there is nothing of this name to forget or to rename.
	ErrUnknownName = errors.New("there is nothing of this name")
)

// Names forgets at once what no leader declares any more, instead of after the grace, and renames handlers. Each call
// is refused with ErrDeclared while a leader that lives declares the name. The zero value is ready for use, by any
// goroutine.
type Names struct {
	Schema string // default jobs.DefaultSchema
}

// ForgetHandler deletes the position of a handler, its retries and its dead letters. If it comes back, it is new.
func (n Names) ForgetHandler(ctx context.Context, db Querier, handler string) error {
	return n.call(ctx, db, "forget handler", `select pgsolo.forget_handler($1)::text`, handler)
}

// ForgetPosition deletes the position of a handler in a topic that it has left, with its retries and dead letters of
// that. If it comes back, it is new there.
func (n Names) ForgetPosition(ctx context.Context, db Querier, handler, topic string) error {
	if err := text.Check(topic); err != nil {
		return fmt.Errorf("forget position of %q: the topic has %w", handler, err)
	}
	return n.call(ctx, db, "forget position of", `select pgsolo.forget_position($1, $2)::text`, handler, topic)
}

// ForgetTopic has events of the topic refused. Those that are in the log stay.
func (n Names) ForgetTopic(ctx context.Context, db Querier, topic string) error {
	return n.call(ctx, db, "forget topic", `select pgsolo.forget_topic($1)::text`, topic)
}

// ForgetJob deletes what is known of a cron job, and its history. If it comes back, it is new.
func (n Names) ForgetJob(ctx context.Context, db Querier, job string) error {
	return n.call(ctx, db, "forget cron job", `select pgsolo.forget_job($1)::text`, job)
}

// ForgetElection forgets every handler, topic and cron job of an election that is not led any more.
func (n Names) ForgetElection(ctx context.Context, db Querier, election string) error {
	return n.call(ctx, db, "forget election", `select pgsolo.forget_election($1)::text`, election)
}

// RenameHandler gives a handler's position, its retries and its dead letters to a new handler of another name. It goes
// on there when a leader declares it.
func (n Names) RenameHandler(ctx context.Context, db Querier, handler, name string) error {
	if err := text.Check(name); err != nil {
		return fmt.Errorf("rename handler %q: the new name has %w", handler, err)
	}
	return n.call(ctx, db, "rename handler", `select pgsolo.rename_handler($1, $2)::text`, handler, name)
}

func (n Names) call(ctx context.Context, db Querier, verb, sql, name string, more ...any) error {
	schema, err := pg.SchemaOrDefault(n.Schema)
	if err == nil {
		err = text.Check(name)
	}
	if err == nil {
		var nothing *string
		err = db.QueryRow(ctx, pg.Place(sql, schema), append([]any{name}, more...)...).Scan(&nothing)
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok {
		switch pgErr.Code {
		case pg.UndefinedObject:
			err = ErrUnknownName
		case pg.ObjectInUse:
			err = fmt.Errorf("%w: %s. %s", ErrDeclared, pgErr.Message, pgErr.Hint)
		}
	}
	if err != nil {
		return fmt.Errorf("%s %q: %w", verb, name, err)
	}
	return nil
}
