package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// progress is what a consumer has to write down.
type progress struct {
	done      idset.Set // ids that need no more work from the log: handled, moved into a delivery, another topic's, or never filled
	succeeded []int64   // deliveries whose retry succeeded
	failed    []failure // attempts that failed, first ones and retries
	moved     []moved   // events that get a row before their first attempt
	early     []int64   // deliveries that are due, and have to wait for their turn
	copied    int       // bytes that failed and moved copy from the log
}

// moved is an event that is not attempted yet: not before due, or, without that, not before the earlier ones of its key are done.
type moved struct {
	id  int64
	key string
	due time.Time
}

// failure is one failed attempt.
type failure struct {
	id      int64
	attempt int
	retryIn time.Duration // meaningful unless dead
	dead    bool
	message string
}

func (p *progress) empty() bool {
	return len(p.done) == 0 && !p.hasDeliveries()
}

// isFull says whether one write has enough to do: it has to end within persistTry.
func (p *progress) isFull() bool {
	return len(p.failed)+len(p.moved) >= logread.MaxPage || p.copied >= logread.PageBytes
}

func (p *progress) hasDeliveries() bool {
	return len(p.succeeded)+len(p.failed)+len(p.moved)+len(p.early) > 0
}

// hasFailed says whether an attempt at the event is among those that failed. Nil is none.
func (p *progress) hasFailed(id int64) bool {
	return p != nil && slices.ContainsFunc(p.failed, func(f failure) bool { return f.id == id })
}

// add puts later progress on top.
func (p *progress) add(later *progress) {
	for _, s := range later.done {
		p.done.Add(s)
	}
	p.succeeded = append(p.succeeded, later.succeeded...)
	p.failed = append(p.failed, later.failed...)
	p.moved = append(p.moved, later.moved...)
	p.early = append(p.early, later.early...)
	p.copied += later.copied
}

// Every write of progress is one statement that begins with the cursor's row under its term: the row lock puts it before or
// after a newer leader's claim, and after one it finds no row, so that nothing else of the statement happens either.
const (
	// The same term may claim twice, so that a claim whose answer was lost can be repeated. What a new handler does not want, if
	// $5, is done: all ids that were given out by now. With another topic a handler is new: what it was done with was the events of the
	// old one, and all others because they were not.
	claimCursor = `insert into pgsolo.cursor as c (handler, term, "group", topic, done)
		values ($1, $2, $3, $4, case when $5 and pg_sequence_last_value('pgsolo.event_id_seq') is not null
			then int8multirange(int8range(1, pg_sequence_last_value('pgsolo.event_id_seq') + 1)) else '{}' end)
		on conflict (handler) do update set term = excluded.term, "group" = excluded."group", topic = excluded.topic,
			done = case when c.topic in ('', excluded.topic) then c.done else excluded.done end, configured = true, seen_at = now()
		where c.term <= excluded.term
		returning done`

	advanceCursor = `update pgsolo.cursor set done = done + $3::int8multirange where handler = $1 and term = $2
		returning pg_current_xact_id()::text::bigint`

	// A try whose answer was lost may be carried out long after the one that was made in its place, when the deliveries of which
	// it tells have gone further: what was done before makes no new row, and an attempt counts only after lower ones.
	advanceWithDeliveries = `with fence as (
			select handler, done from pgsolo.cursor where handler = $1 and term = $2 for update
		), advanced as (
			update pgsolo.cursor c set done = c.done + $3::int8multirange from fence f where c.handler = f.handler
		), succeeded as (
			delete from pgsolo.delivery d using fence f
			where d.handler = f.handler and d.event_id = any($4::bigint[])
		), failed as (
			select f.handler, u.id, u.attempt, u.message, f.done @> u.id as done_before, case when u.dead then 'dead' else 'retry' end as state,
				case when not u.dead then clock_timestamp() + u.retry_ms * interval '1 millisecond' end as next_at
			from fence f, unnest($5::bigint[], $6::integer[], $7::boolean[], $8::bigint[], $9::text[])
				as u (id, attempt, dead, retry_ms, message)
		), again as (
			update pgsolo.delivery d
			set attempt = f.attempt, state = f.state, next_at = f.next_at, error = f.message, failed_at = clock_timestamp()
			from failed f
			where d.handler = f.handler and d.event_id = f.id and d.attempt < f.attempt
		), first_time as (
			insert into pgsolo.delivery
				(handler, event_id, topic, key, payload, headers, created_at, attempt, state, next_at, error)
			select f.handler, e.id, e.topic, e.key, e.payload, e.headers, e.created_at, f.attempt, f.state, f.next_at, f.message
			from failed f join pgsolo.event e on e.id = f.id
			where f.attempt = 1 and not f.done_before
			on conflict (handler, event_id) do nothing
		), moved as (
			insert into pgsolo.delivery
				(handler, event_id, topic, key, payload, headers, created_at, attempt, state, next_at, error)
			select f.handler, e.id, e.topic, e.key, e.payload, e.headers, e.created_at, 0,
				case when m.later then 'scheduled' else 'waiting' end, case when m.later then e.deliver_at end, ''
			from fence f, unnest((select $10::bigint[]), (select $11::boolean[])) as m (id, later) join pgsolo.event e on e.id = m.id
			where not f.done @> m.id
			on conflict (handler, event_id) do nothing
		), early as (
			update pgsolo.delivery d set state = 'waiting', next_at = null
			from fence f
			where d.handler = f.handler and d.event_id = any($12::bigint[]) and d.state in ('scheduled', 'retry')
		)
		select pg_current_xact_id()::text::bigint from fence`
)

// claim makes this term the only one that may write the cursor, and returns what is done.
func (c *consumer) claim(ctx context.Context) (done idset.Set, err error) {
	err = c.persist(ctx, "claim cursor", func(ctx context.Context) error {
		var encoded idset.Multirange
		err := c.log.Pool.QueryRow(ctx, pg.Place(claimCursor, c.log.Schema), c.Name, c.term, c.group, c.Topic,
			c.Start == StartLatest).Scan(&encoded)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("handler %q: %w", c.Name, jobs.ErrFenced)
		}
		done = idset.Decode(encoded)
		return err
	})
	return done, err
}

// save writes the progress, and returns the number of its transaction. It may be repeated: a second write of the same progress
// changes nothing.
func (c *consumer) save(ctx context.Context, p *progress) (number int64, err error) {
	return c.saveIn(ctx, c.log.Pool, p)
}

// saveIn is save on a connection, or in a transaction, of the caller.
func (c *consumer) saveIn(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, p *progress) (number int64, err error) {
	args := []any{c.Name, c.term, p.done.Encode()}
	statement := advanceCursor
	if p.hasDeliveries() {
		statement = advanceWithDeliveries
		args = append(args, p.succeeded)
		args = append(args, failureColumns(p.failed)...)
		ids, later := movedColumns(p.moved)
		args = append(args, ids, later, p.early)
	}
	err = db.QueryRow(ctx, pg.Place(statement, c.log.Schema), args...).Scan(&number)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("handler %q: %w", c.Name, jobs.ErrFenced)
	}
	if err != nil {
		return 0, fmt.Errorf("advance cursor of %q: %w", c.Name, err)
	}
	return number, nil
}

func movedColumns(events []moved) (ids []int64, later []bool) {
	ids, later = make([]int64, len(events)), make([]bool, len(events))
	for i, m := range events {
		ids[i], later[i] = m.id, !m.due.IsZero()
	}
	return ids, later
}

func failureColumns(failures []failure) []any {
	var (
		ids      = make([]int64, len(failures))
		attempts = make([]int32, len(failures))
		dead     = make([]bool, len(failures))
		retryMs  = make([]int64, len(failures))
		messages = make([]string, len(failures))
	)
	for i, f := range failures {
		ids[i], attempts[i], dead[i] = f.id, int32(f.attempt), f.dead
		retryMs[i], messages[i] = f.retryIn.Milliseconds(), f.message
	}
	return []any{ids, attempts, dead, retryMs, messages}
}
