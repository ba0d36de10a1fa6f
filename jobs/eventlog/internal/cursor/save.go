package cursor

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Progress is what a handler has to write down.
type Progress struct {
	Done      idset.Set // need no more work from the log: handled, with a delivery, another topic's, or never filled
	Succeeded []int64   // deliveries whose retry succeeded
	Failed    []Failure // attempts that failed, first ones and retries
	Moved     []Moved   // events that get a row before their first attempt
	Early     []int64   // deliveries that are due, and have to wait for their turn
	Copied    int       // bytes that Failed and Moved copy from the log

	// Of a write that changes deliveries: whose it is, and its number among those. Without a number, as in a
	// transaction of the caller, a repetition is not told from another write.
	Writer, Number int64
}

// Moved is an event that is not attempted yet: not before Due, or, without that, not before the earlier ones of its key
// are done.
type Moved struct {
	Record *logread.Record
	Key    string // not of a page, which it would keep in memory
	Due    time.Time
}

// Failure is one failed attempt.
type Failure struct {
	ID      int64
	Record  *logread.Record
	Retry   bool // the event has a row of its own
	Attempt int
	RetryIn time.Duration // meaningful unless Dead
	Dead    bool
	Message string
}

// IsEmpty says whether there is nothing to write.
func (p *Progress) IsEmpty() bool {
	return len(p.Done) == 0 && !p.hasDeliveries()
}

// IsFull says whether one write has enough to do: it has to end within pg.TryTimeout.
func (p *Progress) IsFull() bool {
	return len(p.Failed)+len(p.Moved) >= logread.MaxPage || p.Copied >= logread.PageBytes
}

// HasFailed says whether an attempt at the event is among those that failed. Nil is none.
func (p *Progress) HasFailed(id int64) bool {
	return p != nil && slices.ContainsFunc(p.Failed, func(f Failure) bool { return f.ID == id })
}

func (p *Progress) hasDeliveries() bool {
	return len(p.Succeeded)+len(p.Failed)+len(p.Moved)+len(p.Early) > 0
}

// texts are those of foreign origin.
func (p *Progress) texts() []*string {
	texts := make([]*string, len(p.Failed))
	for i := range p.Failed {
		texts[i] = &p.Failed[i].Message
	}
	return texts
}

// fromLog are the events of the log that get a row.
func (p *Progress) fromLog() []int64 {
	ids := []int64{}
	for _, f := range p.Failed {
		if !f.Retry {
			ids = append(ids, f.ID)
		}
	}
	for _, m := range p.Moved {
		ids = append(ids, m.Record.ID)
	}
	return ids
}

// damaged are the events that get a row, and cannot be copied from the log.
func (p *Progress) damaged(marker string) (ids []int64) {
	for _, f := range p.Failed {
		if f.Dead && !f.Retry && logread.IsDamaged(f.Record.Payload, marker) {
			ids = append(ids, f.ID)
		}
	}
	for _, m := range p.Moved {
		if logread.IsDamaged(m.Record.Payload, marker) {
			ids = append(ids, m.Record.ID)
		}
	}
	return ids
}

// Every write of progress is one statement that begins with the cursor's row under its term: the row lock puts it
// before or after a newer leader's claim, and after one it finds no row, so that nothing else of the statement happens
// either.
//
// It notes when that was, for a later claim: all events in done are visible to the snapshot of the statement, so that
// the numbers of their transactions are below its xmax, and began before now.
const (
	advanceCursor = `update pgsolo.cursor
		set done = done + $3::int8multirange, noted_at = clock_timestamp(),
			noted_xid = pg_snapshot_xmax(pg_current_snapshot())
		where handler = $1 and term = $2
		returning pg_current_xact_id()::text::bigint, null::bigint[]`

	// A try whose answer was lost may have been carried out, and may even be carried out long after the one that was
	// made in its place, when the deliveries that it is about have gone further, or an operator has replayed, discarded
	// or changed one. So a write is numbered, and a number that its writer has reached is not carried out again.
	//
	// A term may have several writers, one after the other, when another group had the cursor in between. For what one
	// of those has left behind, what was done before makes no new row, and an attempt counts only after lower ones.
	//
	// An event gets its row from the log, so that what is in the log already is not sent again. One that is gone from
	// there by now is not marked as done, but returned. See keepGone. So is one that was to be retried and whose row is
	// gone: somebody has deleted it under the attempt. But not where another writer was the latest: then it is the row
	// that one has deleted, since the event has succeeded. The number stays, so that a repetition finds it once more.
	advanceWithDeliveries = `with fence as (
			select handler, done, writer from pgsolo.cursor where handler = $1 and term = $2
				and (writer = $13::bigint and written >= $14::bigint) is not true
			for update
		), succeeded as (
			delete from pgsolo.delivery d using fence f
			where d.handler = f.handler and d.event_id = any($4::bigint[])
		), failed as (
			select f.handler, u.id, u.retry, u.attempt, u.message, f.done @> u.id as done_before,
				case when u.dead then 'dead' else 'retry' end as state,
				case when not u.dead then clock_timestamp() + u.retry_ms * interval '1 millisecond' end as next_at
			from fence f, unnest($5::bigint[], $6::integer[], $7::boolean[], $8::bigint[], $9::text[], $15::boolean[])
				as u (id, attempt, dead, retry_ms, message, retry)
		), again as (
			update pgsolo.delivery d
			set attempt = f.attempt, state = f.state, next_at = f.next_at, error = f.message,
				failed_at = clock_timestamp()
			from failed f
			where d.handler = f.handler and d.event_id = f.id
				and least(d.attempt, 2147483646) < f.attempt
		), first_time as (
			insert into pgsolo.delivery
				(handler, event_id, topic, key, payload, headers, created_at, attempt, state, next_at, error)
			select f.handler, e.id, e.topic, e.key, e.payload, e.headers, e.created_at,
				f.attempt, f.state, f.next_at, f.message
			from failed f join pgsolo.event e on e.id = f.id
			where f.attempt = 1 and not f.done_before and not f.retry
			on conflict (handler, event_id) do nothing
			returning event_id
		), moved as (
			insert into pgsolo.delivery
				(handler, event_id, topic, key, payload, headers, created_at, attempt, state, next_at, error)
			select f.handler, e.id, e.topic, e.key, e.payload, e.headers, e.created_at, 0,
				case when m.later then 'scheduled' else 'waiting' end, case when m.later then e.deliver_at end, ''
			from fence f, unnest((select $10::bigint[]), (select $11::boolean[])) as m (id, later)
				join pgsolo.event e on e.id = m.id
			where not f.done @> m.id
			on conflict (handler, event_id) do nothing
			returning event_id
		), retried as (
			select f.id from failed f
			where f.retry and (select writer = $13 or $14 = 1 from fence)
				and not exists (select from pgsolo.delivery d where d.handler = f.handler and d.event_id = f.id)
		), gone as (
			select n.id
			from fence f, (
				select id from failed where attempt = 1 and not done_before and not retry
				union all
				select id from unnest((select $10::bigint[])) id
			) n
			where not f.done @> n.id and n.id not in (select event_id from first_time)
				and n.id not in (select event_id from moved)
				and not exists (select from pgsolo.delivery d where d.handler = f.handler and d.event_id = n.id)
		), advanced as (
			update pgsolo.cursor c
			set done = c.done + ($3::int8multirange
				- coalesce((select range_agg(int8range(id, id + 1)) from gone), '{}'::int8multirange)),
				noted_at = clock_timestamp(), noted_xid = pg_snapshot_xmax(pg_current_snapshot()),
				writer = coalesce($13, c.writer),
				written = case when exists (select from retried) then c.written else coalesce($14, c.written) end
			from fence f where c.handler = f.handler
		), early as (
			update pgsolo.delivery d set state = 'waiting', next_at = null
			from fence f
			where d.handler = f.handler and d.event_id = any($12::bigint[]) and d.state in ('scheduled', 'retry')
		)
		select pg_current_xact_id()::text::bigint, array(table gone union all table retried) from fence`

	// A write that was carried out before. Of the events that it was to give a row, those that were gone are not done.
	selectWritten = `select pg_current_xact_id()::text::bigint,
			array(select id from unnest($3::bigint[]) id where not c.done @> id)
		from pgsolo.cursor c where handler = $1 and term = $2 and writer = $4 and written >= $5`
)

// Save writes the progress, and returns the number of its transaction. It may be repeated: a second write of the same
// progress changes nothing. Errors are kept as far as the database can hold them. What the server cannot copy from the
// log has its row before, and is done, so that the write passes it over.
func (c Cursor) Save(ctx context.Context, p *Progress) (number int64, err error) {
	var gone []int64
	for _, id := range p.damaged(c.Marker) {
		if err := c.keepGone(ctx, p, id); err != nil {
			return 0, err
		}
	}
	err = c.DB.WithTexts(ctx, p.texts(), func() (err error) {
		number, gone, err = c.save(ctx, p)
		return err
	})
	for i := 0; err == nil && i < len(gone); i++ {
		err = c.keepGone(ctx, p, gone[i])
	}
	return number, err
}

// save returns the events that have to get a row, and are gone from the log.
func (c Cursor) save(ctx context.Context, p *Progress) (number int64, gone []int64, err error) {
	statement, args := c.saving(p)
	err = c.DB.QueryRow(ctx, statement, args...).Scan(&number, &gone)
	if errors.Is(err, pgx.ErrNoRows) && p.Number != 0 {
		err = c.DB.QueryRow(ctx, selectWritten, c.Handler, c.Term, p.fromLog(), p.Writer, p.Number).Scan(&number, &gone)
	}
	return number, gone, c.saved(err)
}

// SaveIn is Save of what is done and what has succeeded, in a transaction of the caller, for statements of the user.
// What is set for this one goes to the server together with it, once per transaction.
func (c Cursor) SaveIn(ctx context.Context, tx pgx.Tx, p *Progress) error {
	var (
		number int64
		gone   []int64
	)
	statement, args := c.saving(p)
	batch := c.DB.Batch()
	batch.Queue(pg.OwnSettingsInTx)
	batch.Queue(statement, args...).QueryRow(func(row pgx.Row) error { return row.Scan(&number, &gone) })
	batch.Queue(pg.UserPathInTx)
	batch.Queue(pg.UserRowSecurityInTx)
	return c.saved(tx.SendBatch(ctx, &batch.Batch).Close())
}

func (c Cursor) saving(p *Progress) (statement string, args []any) {
	args = []any{c.Handler, c.Term, p.Done.Encode()}
	if !p.hasDeliveries() {
		return advanceCursor, args
	}
	args = append(args, p.Succeeded)
	args = append(args, failureColumns(p.Failed)...)
	ids, later := movedColumns(p.Moved)
	args = append(args, ids, later, p.Early)
	if p.Number == 0 {
		return advanceWithDeliveries, append(args, nil, nil, retryColumn(p.Failed))
	}
	return advanceWithDeliveries, append(args, p.Writer, p.Number, retryColumn(p.Failed))
}

func (c Cursor) saved(err error) error {
	if errors.Is(err, pgx.ErrNoRows) {
		return c.fenced()
	}
	if err != nil {
		return fmt.Errorf("advance cursor of %q: %w", c.Handler, err)
	}
	return nil
}

func movedColumns(events []Moved) (ids []int64, later []bool) {
	ids, later = make([]int64, len(events)), make([]bool, len(events))
	for i, m := range events {
		ids[i], later[i] = m.Record.ID, !m.Due.IsZero()
	}
	return ids, later
}

func failureColumns(failures []Failure) []any {
	var (
		ids      = make([]int64, len(failures))
		attempts = make([]int32, len(failures))
		dead     = make([]bool, len(failures))
		retryMs  = make([]int64, len(failures))
		messages = make([]string, len(failures))
	)
	for i, f := range failures {
		ids[i], attempts[i], dead[i] = f.ID, int32(f.Attempt), f.Dead
		retryMs[i], messages[i] = f.RetryIn.Milliseconds(), f.Message
	}
	return []any{ids, attempts, dead, retryMs, messages}
}

func retryColumn(failures []Failure) []bool {
	retry := make([]bool, len(failures))
	for i, f := range failures {
		retry[i] = f.Retry
	}
	return retry
}
