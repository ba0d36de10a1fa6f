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
	Topic   string // of the events that it gets
	Term    int64
	Marker  string // see logread.Printable

	From Owner // whose cursor a claim may take, as it was found; zero: nobody's
}

// The same term may claim twice, so that a claim whose answer was lost can be repeated. What a new handler does not
// want, if $5, is done: all ids that were given out by now. With another topic a handler is new, or goes on where it
// left that topic: a trigger on the insert, pgsolo.keep_position, keeps what it was done with in the old one, and puts
// what it finds of the new one into excluded: done, and what was noted about it.
//
// A simple claim, with $8, changes neither group nor topic, and spares the trigger. It does not set configured, which
// would call another one: the leader's declaration does.
//
// noted_at and noted_xid are of the latest write of progress, unless a leader of the version before, which notes
// nothing, has led since: then all that is known is when the cursor was claimed or seen, and there is no number.
//
// The comparisons are of the claim's own snapshot with a sequence that is read after it was taken: ids of rows and of
// done cannot be above that while nobody sets it back. A role that may not read the sequence compares nothing with it.
const claimCursor = `with log as materialized (
			select l.epoch, l.counter, l.checked_id, l.checked_at, l.checked_xid,
				case when has_sequence_privilege('pgsolo.event_id_seq', 'select, usage')
				then coalesce(pg_sequence_last_value('pgsolo.event_id_seq'), 0) end as given
			from pgsolo.log l order by l.epoch desc limit 1
		)
		insert into pgsolo.cursor as c
			(handler, term, "group", topic, simple, done, epoch, noted_at, noted_xid, noted_by)
		values ($1, $2, $3, $4, $8, case when $5 then int8multirange(int8range(1, coalesce(greatest(
				pg_sequence_last_value('pgsolo.event_id_seq'), (select max(e.id) from pgsolo.event e)), 0) + 1))
			else '{}' end,
			(select l.epoch from log l), clock_timestamp(), pg_snapshot_xmax(pg_current_snapshot()), $2)
		on conflict (handler) do update set term = excluded.term, "group" = excluded."group", topic = excluded.topic,
			done = case when c.topic in ('', excluded.topic) then c.done else excluded.done end,
			epoch = case when c.topic in ('', excluded.topic) then c.epoch else excluded.epoch end,
			noted_at = case when c.topic not in ('', excluded.topic) then excluded.noted_at
				when c.noted_by = c.term then c.noted_at else c.seen_at end,
			noted_xid = case when c.topic not in ('', excluded.topic) then excluded.noted_xid
				when c.noted_by = c.term then c.noted_xid end,
			noted_by = excluded.noted_by, seen_at = now()
		where c.term <= excluded.term and (c."group" = excluded."group" or c.topic = '')
				and (c.topic in ('', excluded.topic) or excluded.simple is null)
			or c."group" <> excluded."group" and c."group" = $6 and c.term = $7
		returning c.done, c.epoch,
			(select c.epoch < l.epoch or l.counter <> pgsolo.log_counter() or coalesce(greatest(
					l.checked_id, upper(c.done) - 1, (select max(e.id) from pgsolo.event e),
					(select max(upper(o.done)) - 1 from pgsolo.cursor o where o.epoch = l.epoch)) > l.given, false)
				from log l),
			coalesce((
				select c.noted_xid is not null and c.done @> e.id
					and pgsolo.is_new(e.created_at, e.xmin, c.noted_at, c.noted_xid)
				from pgsolo.event e where e.id < upper(c.done) and e.id >= upper(c.done) - 1000
				order by e.id desc limit 1
			), false),
			coalesce((
				select pgsolo.is_new(e.created_at, e.xmin, l.checked_at, l.checked_xid)
				from log l cross join lateral (
					select e.created_at, e.xmin from pgsolo.event e
					where e.id <= l.checked_id and e.id > l.checked_id - 1000 order by e.id desc limit 1
				) e
			), false), (` + pg.SelectSequence + `), c.noted_at, c.noted_xid::text::bigint,
			(select array_agg(l.identity order by l.epoch desc) from pgsolo.log l),
			(select array_agg(l.keys_from order by l.epoch desc) from pgsolo.log l), c.xmax = 0`

// Claim makes this term the only one that may write the cursor, and returns what is done. latest: a new handler begins
// with the ids that are given out from now on. A cursor of another group is left to it, unless it is still as From
// says: then the error is an *OwnedError. That group's term may be higher, and is of no account.
func (c Cursor) Claim(ctx context.Context, group string, latest bool) (claimed Claimed, err error) {
	simple := true
	if c.From != (Owner{}) {
		return c.claim(ctx, group, latest, nil)
	}
	claimed, err = c.claim(ctx, group, latest, &simple)
	if errors.Is(err, errOtherTopic) {
		return c.claim(ctx, group, latest, nil)
	}
	return claimed, err
}

func (c Cursor) claim(
	ctx context.Context, group string, latest bool, simple *bool,
) (claimed Claimed, err error) {
	var encoded idset.Multirange
	err = c.DB.QueryRow(ctx, claimCursor, c.Handler, c.Term, group, c.Topic, latest, c.From.Group, c.From.Term, simple).
		Scan(&encoded, &claimed.Epoch, &claimed.contradicted, &claimed.seenNew, &claimed.passed, &claimed.refusal,
			&claimed.At, &claimed.Number, &claimed.Identities.names, &claimed.Identities.from, &claimed.isNew)
	if errors.Is(err, pgx.ErrNoRows) {
		return Claimed{}, c.refused(ctx, group)
	}
	claimed.Done = idset.Decode(encoded)
	if claimed.Number != nil && len(claimed.Done) > 0 && claimed.Done[0].Lo <= 1 {
		claimed.ID = claimed.Done[0].Hi - 1 // up to where everything is done
	}
	return claimed, err
}

func (c Cursor) fenced() error { return fmt.Errorf("handler %q: %w", c.Handler, jobs.ErrFenced) }
