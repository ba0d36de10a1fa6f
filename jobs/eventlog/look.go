package eventlog

import (
	"context"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// look is a read of the deliveries that are due.
type look struct {
	taken      []int64  // events in hand, or whose outcome is not written yet
	takenKeys  []string // keys of which something is in hand; with OrderKey
	candidates []string // keys to look at whatever is due
	walk       int      // how many keys with waiting rows to walk to
	walked     string   // the one to begin behind
	walks      int      // how often a walk had begun
	ended      int64    // writes that had ended before
}

// found is what a look brings.
type found struct {
	due    []queue.Delivery
	next   time.Duration // until more is due; retryLook at most
	none   bool          // the handler has no deliveries at all
	cutOff bool          // there may be more now

	early []earlyDelivery // due, but behind one of their key that is not
	free  []string        // candidates without rows that hold up their key
	walk  string          // the last key that was walked to; empty: there are no more
}

// earlyDelivery is one whose date has come before its turn.
type earlyDelivery struct {
	id  int64
	key string
}

// The answers of selectDue and of selectLook have rows of several kinds.
const (
	foundNext  = iota // when something is due next, the last key walked to, and whether there is any delivery
	foundDue          // a delivery
	foundEarly        // one before its turn
	foundFree         // a key without rows
)

const (
	// The two parts of the union see one snapshot, but not one time: an event that becomes due in between comes with the next look,
	// which is at once.
	selectDue = `select 0, null::bigint, null, null, null, null, null::timestamptz,
			(select 1 from pgsolo.delivery where handler = $1 order by event_id limit 1),
			(select extract(epoch from next_at - clock_timestamp()) from pgsolo.delivery
				where handler = $1 and state in ('scheduled', 'retry') and next_at > statement_timestamp()
				order by next_at limit 1)::float8
		union all (
			select 1, event_id, topic, key, payload::text, nullif(headers, '{}')::text, created_at, attempt + 1, null
			from pgsolo.delivery
			where handler = $1 and state in ('scheduled', 'retry') and next_at <= statement_timestamp() and event_id <> all($2::bigint[])
			order by next_at
			limit $3
		)`

	// With OrderKey a key's deliveries come in the order of their ids, from the lowest on, up to the first that is not due. A waiting
	// one is due when it is the lowest; a scheduled one does not count before its date; a dead one bars the way if $4, else it does
	// not count. Keys to look at are those with something due by its date, the candidates, and some that are walked to: each is
	// a step in an index, however many rows a key has.
	//
	// Those that are due by their date, and not by their turn, are to become waiting ones: there may be any number of them, and they
	// would be in the way each time.
	selectLook = `with recursive walked (key, n) as (
			(
				select key, 1 from pgsolo.delivery
				where $6 > 0 and handler = $1 and state = 'waiting' and key > $7
				order by key limit 1
			)
			union all
			select d.key, w.n + 1
			from walked w cross join lateral (
				select key from pgsolo.delivery
				where handler = $1 and state = 'waiting' and key > w.key
				order by key limit 1
			) d
			where w.n < $6
		), ripe as materialized (
			select event_id, key, next_at from pgsolo.delivery
			where handler = $1 and state in ('scheduled', 'retry') and next_at <= statement_timestamp()
				and event_id <> all($2::bigint[]) and (key is null or key <> all($8::text[]))
			order by next_at limit 4 * $3
		), keys as materialized (
			select key from ripe where key <> ''
			union
			select key from unnest($5::text[]) key where key <> all($8::text[])
			union
			select key from walked where key <> all($8::text[])
		), run as materialized (
			select k.key, d.event_id, row_number() over before as turn, bool_and(d.is_due) over before as is_due
			from keys k cross join lateral (
				select * from (
					select event_id, state = 'waiting' or state <> 'dead' and next_at <= statement_timestamp() as is_due
					from pgsolo.delivery
					where handler = $1 and key = k.key and (state <> 'dead' or $4)
						and not (state = 'scheduled' and next_at > statement_timestamp())
					order by event_id
					limit $3
				) all_looks -- never more, which the planner is glad to know
				limit (select greatest(1, $3 / greatest(1, count(*))) from keys)
			) d
			window before as (partition by k.key order by d.event_id)
		), due as (
			select event_id, 1 as turn from ripe where coalesce(key, '') = ''
			union all
			select event_id, turn from run where is_due
			order by turn, event_id
			limit $3
		)
		select 0, null::bigint, null, (select max(key) from walked having max(n) = $6), null, null, null::timestamptz,
			(select 1 from pgsolo.delivery where handler = $1 order by event_id limit 1),
			(select extract(epoch from next_at - clock_timestamp()) from pgsolo.delivery
				where handler = $1 and state in ('scheduled', 'retry') and next_at > statement_timestamp()
				order by next_at limit 1)::float8
		union all
		select 2, r.event_id, null, r.key, null, null, null, null, null
		from ripe r join (select key, min(event_id) as event_id from run where not is_due group by key) bar
			on bar.key = r.key and bar.event_id < r.event_id
		union all
		select 3, null, null, c.key, null, null, null, null, null
		from unnest($5::text[]) c (key)
		where c.key <> all($8::text[]) and c.key not in (select key from run)
		union all (
			select 1, d.event_id, d.topic, d.key, d.payload::text, nullif(d.headers, '{}')::text, d.created_at, d.attempt + 1, null
			from due join pgsolo.delivery d on d.handler = $1 and d.event_id = due.event_id
			order by due.turn, due.event_id
		)`
)

// lookForDue returns the deliveries whose next attempt is due, except those in hand.
func (c *consumer) lookForDue(ctx context.Context, l look) (f found, err error) {
	sql, args := selectDue, []any{c.Name, l.taken, retryPage}
	if c.Order == OrderKey {
		sql = selectLook
		args = append(args, c.OnDead == OnDeadBlockKey, l.candidates, l.walk, l.walked, l.takenKeys)
	}
	rows, err := c.log.Pool.Query(ctx, pg.Place(sql, c.log.Schema), args...)
	if err != nil {
		return found{}, fmt.Errorf("read due deliveries: %w", err)
	}
	f.next = retryLook
	var (
		kind             int
		id               *int64
		topic, key       *string
		payload, headers []byte
		createdAt        *time.Time
		attempt          *int
		wait             *float64
	)
	_, err = pgx.ForEachRow(rows, []any{&kind, &id, &topic, &key, &payload, &headers, &createdAt, &attempt, &wait}, func() error {
		var of string
		if key != nil {
			of = *key
		}
		switch kind {
		case foundNext:
			f.walk, f.none = of, attempt == nil
			if wait != nil && *wait < retryLook.Seconds() {
				f.next = max(0, pg.Seconds(*wait))
			}
		case foundDue:
			r := &logread.Record{ID: *id, Topic: *topic, Key: of, Payload: payload, Headers: headers, CreatedAt: createdAt.UnixMicro()}
			f.due = append(f.due, queue.Delivery{Record: r, Attempt: *attempt, Retry: true})
		case foundEarly:
			f.early = append(f.early, earlyDelivery{*id, of})
		case foundFree:
			f.free = append(f.free, of)
		}
		return nil
	})
	if err != nil {
		return found{}, fmt.Errorf("read due deliveries: %w", err)
	}
	f.cutOff = len(f.due) == retryPage
	return f, nil
}
