// Package cursor is the SQL of one handler of the event log: its row in pgsolo.cursor, which says what is done, and its
// rows in pgsolo.delivery, which are for events that failed, that are not due yet, or that wait behind one of their
// key.
package cursor

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Cursor is the state of one handler in the database, as a leader of one term sees it. It may be used by any goroutine.
//
// A step that fails because a newer leader has claimed the cursor returns jobs.ErrFenced, wrapped.
type Cursor struct {
	DB      pg.DB
	Handler string // the name
	Term    int64

	From Owner // whose cursor a claim may take, as it was found; zero: nobody's
}

// The same term may claim twice, so that a claim whose answer was lost can be repeated. What a new handler does not
// want, if $5, is done: all ids that were given out by now. With another topic a handler is new, or goes on where it
// left that topic: a trigger on the insert, pgsolo.keep_position, keeps what it was done with in the old one, and puts
// what it finds of the new one into excluded.done.
//
// A simple claim, with $8, changes neither group nor topic, and spares the trigger. It does not set configured, which
// would call another one: the leader's declaration does.
const claimCursor = `insert into pgsolo.cursor as c (handler, term, "group", topic, simple, done)
		values ($1, $2, $3, $4, $8, case when $5 and pg_sequence_last_value('pgsolo.event_id_seq') is not null
			then int8multirange(int8range(1, pg_sequence_last_value('pgsolo.event_id_seq') + 1)) else '{}' end)
		on conflict (handler) do update set term = excluded.term, "group" = excluded."group", topic = excluded.topic,
			done = case when c.topic in ('', excluded.topic) then c.done else excluded.done end,
			seen_at = now()
		where c.term <= excluded.term and (c."group" = excluded."group" or c.topic = '')
				and (c.topic in ('', excluded.topic) or excluded.simple is null)
			or c."group" <> excluded."group" and c."group" = $6 and c.term = $7
		returning done`

// Claim makes this term the only one that may write the cursor, and returns what is done. latest: a new handler begins
// with the ids that are given out from now on. A cursor of another group is left to it, unless it is still as From
// says: then the error is an *OwnedError. That group's term may be higher, and is of no account.
func (c Cursor) Claim(ctx context.Context, group, topic string, latest bool) (done idset.Set, err error) {
	simple := true
	if c.From != (Owner{}) {
		return c.claim(ctx, group, topic, latest, nil)
	}
	done, err = c.claim(ctx, group, topic, latest, &simple)
	if errors.Is(err, errOtherTopic) {
		return c.claim(ctx, group, topic, latest, nil)
	}
	return done, err
}

func (c Cursor) claim(ctx context.Context, group, topic string, latest bool, simple *bool) (done idset.Set, err error) {
	var encoded idset.Multirange
	err = c.DB.QueryRow(ctx, claimCursor, c.Handler, c.Term, group, topic, latest, c.From.Group, c.From.Term, simple).
		Scan(&encoded)
	if errors.Is(err, pgx.ErrNoRows) {
		return nil, c.refused(ctx, group, topic)
	}
	return idset.Decode(encoded), err
}

func (c Cursor) fenced() error { return fmt.Errorf("handler %q: %w", c.Handler, jobs.ErrFenced) }
