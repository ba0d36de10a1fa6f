package jobs

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
)

// progress is what a consumer has to write down.
type progress struct {
	done      ranges    // ids that need no more work from the log: handled, failed into a delivery, another topic's, or never filled
	succeeded []int64   // deliveries whose retry succeeded
	failed    []failure // attempts that failed, first ones and retries
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
	return len(p.done) == 0 && len(p.succeeded) == 0 && len(p.failed) == 0
}

// add puts later progress on top.
func (p *progress) add(later *progress) {
	for _, s := range later.done {
		p.done.add(s)
	}
	p.succeeded = append(p.succeeded, later.succeeded...)
	p.failed = append(p.failed, later.failed...)
}

// Every write of progress is one statement that begins with the cursor's row under its term: the row lock puts it before or
// after a newer leader's claim, and after one it finds no row, so that nothing else of the statement happens either.
const (
	// The same term may claim twice, so that a claim whose answer was lost can be repeated.
	claimCursor = `insert into pgsolo.cursor as c (handler, term) values ($1, $2)
		on conflict (handler) do update set term = excluded.term where c.term <= excluded.term
		returning done`

	advanceCursor = `update pgsolo.cursor set done = done + $3::int8multirange where handler = $1 and term = $2
		returning pg_current_xact_id()::text::bigint`

	advanceWithDeliveries = `with fence as (
			update pgsolo.cursor set done = done + $3::int8multirange where handler = $1 and term = $2
			returning handler
		), succeeded as (
			delete from pgsolo.delivery d using fence f
			where d.handler = f.handler and d.event_id = any($4::bigint[])
		), failed as (
			select f.handler, u.id, u.attempt, u.message, case when u.dead then 'dead' else 'retry' end as state,
				case when not u.dead then clock_timestamp() + u.retry_ms * interval '1 millisecond' end as next_at
			from fence f, unnest($5::bigint[], $6::integer[], $7::boolean[], $8::bigint[], $9::text[])
				as u (id, attempt, dead, retry_ms, message)
		), again as (
			update pgsolo.delivery d
			set attempt = f.attempt, state = f.state, next_at = f.next_at, error = f.message, failed_at = clock_timestamp()
			from failed f
			where d.handler = f.handler and d.event_id = f.id
		), first_time as (
			insert into pgsolo.delivery
				(handler, event_id, topic, key, payload, headers, created_at, attempt, state, next_at, error)
			select f.handler, e.id, e.topic, e.key, e.payload, e.headers, e.created_at, f.attempt, f.state, f.next_at, f.message
			from failed f join pgsolo.event e on e.id = f.id
			where f.attempt = 1
			on conflict (handler, event_id) do nothing
		)
		select pg_current_xact_id()::text::bigint from fence`
)

// claim makes this term the only one that may write the cursor, and returns what is done.
func (c *consumer) claim(ctx context.Context) (done ranges, err error) {
	err = c.persist(ctx, "claim cursor", func(ctx context.Context) error {
		var encoded multirange
		err := c.log.pool.QueryRow(ctx, inSchema(claimCursor, c.log.schema), c.Name, c.term).Scan(&encoded)
		if errors.Is(err, pgx.ErrNoRows) {
			return fmt.Errorf("handler %q: %w", c.Name, ErrFenced)
		}
		done = decodeRanges(encoded)
		return err
	})
	return done, err
}

// save writes the progress, and returns the number of its transaction. It may be repeated: a second write of the same progress
// changes nothing.
func (c *consumer) save(ctx context.Context, p *progress) (number int64, err error) {
	args := []any{c.Name, c.term, p.done.encode()}
	statement := advanceCursor
	if len(p.succeeded) > 0 || len(p.failed) > 0 {
		statement = advanceWithDeliveries
		args = append(args, p.succeeded)
		args = append(args, failureColumns(p.failed)...)
	}
	err = c.log.pool.QueryRow(ctx, inSchema(statement, c.log.schema), args...).Scan(&number)
	if errors.Is(err, pgx.ErrNoRows) {
		return 0, fmt.Errorf("handler %q: %w", c.Name, ErrFenced)
	}
	if err != nil {
		return 0, fmt.Errorf("advance cursor of %q: %w", c.Name, err)
	}
	return number, nil
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

// The outer join keeps one row, with the time until the next delivery is due, where none is due yet.
const selectDue = `select n.seconds, d.event_id, d.topic, d.key, d.payload::text, nullif(d.headers, '{}')::text, d.created_at, d.attempt + 1
	from (
		select extract(epoch from min(next_at) - clock_timestamp())::float8 as seconds from pgsolo.delivery
		where handler = $1 and state = 'retry' and event_id <> all($2::bigint[])
	) n left join (
		select * from pgsolo.delivery
		where handler = $1 and state = 'retry' and next_at <= clock_timestamp() and event_id <> all($2::bigint[])
		order by next_at
		limit $3
	) d on true
	order by d.next_at`

// dueRetries returns the deliveries whose next attempt is due, except those already taken, and how long until it is worth looking
// again: at once where there were some.
func (c *consumer) dueRetries(ctx context.Context, taken []int64) (due []delivery, next time.Duration, err error) {
	rows, err := c.log.pool.Query(ctx, inSchema(selectDue, c.log.schema), c.Name, taken, retryPage)
	if err != nil {
		return nil, 0, fmt.Errorf("read due retries: %w", err)
	}
	var (
		seconds          *float64
		id               *int64
		topic, key       *string
		payload, headers []byte
		createdAt        *time.Time
		attempt          *int
	)
	_, err = pgx.ForEachRow(rows, []any{&seconds, &id, &topic, &key, &payload, &headers, &createdAt, &attempt}, func() error {
		if id == nil {
			return nil
		}
		r := &record{id: *id, topic: *topic, payload: payload, headers: headers, createdAt: createdAt.UnixMicro()}
		if key != nil {
			r.key = *key
		}
		due = append(due, delivery{record: r, attempt: *attempt, retry: true})
		return nil
	})
	switch {
	case err != nil:
		return nil, 0, fmt.Errorf("read due retries: %w", err)
	case len(due) > 0:
		return due, 0, nil
	case seconds == nil:
		return nil, retryLook, nil
	}
	return nil, max(0, time.Duration(*seconds*float64(time.Second))), nil
}
