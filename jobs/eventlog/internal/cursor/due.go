package cursor

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

const (
	// DueEvery is how long after one due query the next one follows, where nothing is known to be due before: other
	// sessions may have changed deliveries.
	DueEvery = 5 * time.Second

	duePage = 64 // deliveries in one query
)

// DueQuery is what a query of the deliveries that are due takes into account.
type DueQuery struct {
	Limit int     // deliveries; 0: as many as a query has. One that takes too long lowers it for the next try
	Taken []int64 // events in the queue or with a worker, or whose outcome is not written yet; not nil

	// With an order.
	Ordered    bool
	DeadBlocks bool     // dead letters block their keys
	TakenKeys  []string // keys with such events; not nil
	Candidates []string // keys to read whatever is due
	Scan       int      // how many keys with waiting rows to read beside them
	ScannedTo  string   // the key above which they begin

	unread bool // the only delivery of the last try cannot be read: it comes without its payload and headers
}

// DueBatch is what a due query brings.
type DueBatch struct {
	Due    []Due
	Next   time.Duration // until more is due; DueEvery at most
	None   bool          // the handler has no deliveries at all, of whatever topic
	CutOff bool          // more may be due now

	// With an order.
	Early     []Early  // due, but behind one of their key that is not
	Free      []string // candidates without rows that block their key
	ScannedTo string   // the last key of the scan; empty: there are no more
}

// Due is a delivery whose next attempt is due.
type Due struct {
	Record  *logread.Record
	Attempt int // the next one
}

// Early is a delivery whose date has come before its turn.
type Early struct {
	ID  int64
	Key string
}

// The answers have rows of several kinds.
const (
	rowNext  = iota // when something is due next, the last key of the scan, and whether there is any delivery
	rowDue          // a delivery
	rowEarly        // one before its turn
	rowFree         // a key without rows
)

// What operators may write by hand, a date at infinity or any number, is no error, or it would end each leader in turn.
const (
	untilNext   = `extract(epoch from least(next_at, clock_timestamp() + interval '1 day') - clock_timestamp())`
	nextAttempt = `case when isfinite(created_at) then created_at else clock_timestamp() end,
				least(attempt, 2147483646) + 1`
)

var (
	// Rows of a topic that the handler has left wait until it is back there: only those of its topic are read, by
	// indexes that have the topic.
	//
	// The two parts of the union see one snapshot, but not one time: an event that becomes due in between comes with
	// the next query, which is at once.
	selectDue = `select 0, null::bigint, null, null, null, null, null::timestamptz,
			(select 1 from pgsolo.delivery where handler = $1 order by event_id limit 1),
			(select ` + untilNext + ` from pgsolo.delivery
				where handler = $1 and topic = $4
					and state in ('scheduled', 'retry') and next_at > statement_timestamp()
				order by next_at limit 1)::float8, null
		union all (
			select 1, event_id, topic, key, ` + logread.Printed("payload", "$4", "$5") + `,
				case when ` + logread.HaveHeaders("headers") + `
					then (` + logread.PrintedHeaders("headers", "$4", "$5") + `)::text end,
				` + nextAttempt + `, null, origin
			from pgsolo.delivery
			where handler = $1 and topic = $4
				and state in ('scheduled', 'retry') and next_at <= statement_timestamp()
				and event_id <> all($2::bigint[])
			order by next_at
			limit $3
		)`

	// With an order a key's deliveries come in the order of their ids, from the lowest on, up to the first that is not
	// due. A waiting one is due when it is the lowest; a scheduled one does not count before its date; a dead one
	// blocks its key if $4, else it does not count. The keys that are read are those with something due by its date,
	// the candidates, and some of a scan (walked): each is a step in an index, however many rows a key has.
	//
	// Those that are due by their date, and not by their turn, are to become waiting ones: there may be any number of
	// them, and they would be in the way each time.
	selectOrderedDue = `with recursive walked (key, n) as (
			(
				select key, 1 from pgsolo.delivery
				where $6 > 0 and handler = $1 and topic = $9 and state = 'waiting' and key > $7
				order by key limit 1
			)
			union all
			select d.key, w.n + 1
			from walked w cross join lateral (
				select key from pgsolo.delivery
				where handler = $1 and topic = $9 and state = 'waiting' and key > w.key
				order by key limit 1
			) d
			where w.n < $6
		), ripe as materialized (
			select event_id, key, next_at from pgsolo.delivery
			where handler = $1 and topic = $9
				and state in ('scheduled', 'retry') and next_at <= statement_timestamp()
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
					where handler = $1 and topic = $9 and key >= k.key and key <= k.key and (state <> 'dead' or $4)
						and not (state = 'scheduled' and next_at > statement_timestamp())
					order by key, event_id -- which the index of the ids alone cannot give, whatever the planner thinks
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
			(select ` + untilNext + ` from pgsolo.delivery
				where handler = $1 and topic = $9
					and state in ('scheduled', 'retry') and next_at > statement_timestamp()
				order by next_at limit 1)::float8, null
		union all
		select 2, r.event_id, null, r.key, null, null, null, null, null, null
		from ripe r join (select key, min(event_id) as event_id from run where not is_due group by key) bar
			on bar.key = r.key and bar.event_id < r.event_id
		union all
		select 3, null, null, c.key, null, null, null, null, null, null
		from unnest($5::text[]) c (key)
		where c.key <> all($8::text[]) and c.key not in (select key from run)
		union all (
			select 1, d.event_id, d.topic, d.key, ` + logread.Printed("d.payload", "$9", "$10") + `,
				case when ` + logread.HaveHeaders("d.headers") + `
					then (` + logread.PrintedHeaders("d.headers", "$9", "$10") + `)::text end,
				` + nextAttempt + `, null, d.origin
			from due join pgsolo.delivery d on d.handler = $1 and d.event_id = due.event_id
			order by due.turn, due.event_id
		)`
)

// The same without what a damaged row has outside of it.
var (
	selectUnreadDue = strings.NewReplacer(logread.Printed("payload", "$4", "$5"), logread.Unread("$5"),
		logread.PrintedHeaders("headers", "$4", "$5"), "null::jsonb").Replace(selectDue)
	selectUnreadOrderedDue = strings.NewReplacer(logread.Printed("d.payload", "$9", "$10"), logread.Unread("$10"),
		logread.PrintedHeaders("d.headers", "$9", "$10"), "null::jsonb").Replace(selectOrderedDue)
)

var errFull = errors.New("page is full")

// narrow has the next try read less: where it took too long, and where the row of one delivery cannot be read, which
// comes alone then, and at last without what cannot be read.
func (q *DueQuery) narrow(err error) {
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		q.Limit = max(1, q.Limit/8)
	case !pg.IsOfRow(err):
	case q.Limit > 1:
		q.Limit = 1
	default:
		q.unread = true
	}
}

// Due returns the deliveries whose next attempt is due, except those that are taken.
func (c Cursor) Due(ctx context.Context, q *DueQuery) (b DueBatch, err error) {
	if q.Limit == 0 {
		q.Limit = duePage
	}
	defer func() { q.narrow(err) }()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	sql, unread, args := selectDue, selectUnreadDue, []any{c.Handler, q.Taken, q.Limit, c.Topic, c.Marker}
	if q.Ordered {
		sql, unread = selectOrderedDue, selectUnreadOrderedDue
		args = append(args[:3], q.DeadBlocks, q.Candidates, q.Scan, q.ScannedTo, q.TakenKeys, c.Topic, c.Marker)
	}
	if q.unread {
		sql = unread
	}
	conn, err := c.DB.Pool.Acquire(ctx)
	if err != nil {
		return DueBatch{}, fmt.Errorf("read due deliveries: %w", err)
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, c.DB.Place(sql), args...)
	if err != nil {
		return DueBatch{}, fmt.Errorf("read due deliveries: %w", err)
	}
	b.Next = DueEvery
	var (
		kind             int
		id               *int64
		topic, key       *string
		payload, headers []byte
		createdAt        *time.Time
		attempt          *int
		wait             *float64
		origin           *string
		size             int
	)
	columns := []any{&kind, &id, &topic, &key, &payload, &headers, &createdAt, &attempt, &wait, &origin}
	_, err = pgx.ForEachRow(rows, columns, func() error {
		var of string
		if key != nil {
			of = *key
		}
		switch kind {
		case rowNext:
			b.ScannedTo, b.None = of, attempt == nil
			if wait != nil && *wait < DueEvery.Seconds() {
				b.Next = max(0, pg.Seconds(*wait))
			}
		case rowDue: // the last kind to come
			if size > logread.PageBytes { // the connection is given up, which is cheaper than to receive the rest
				b.CutOff = true
				cancel()
				return errFull
			}
			size += len(payload) + len(headers)
			if logread.Refusal(headers, c.Marker) != nil {
				payload, headers = headers, nil
			}
			r := &logread.Record{
				ID: *id, Topic: *topic, Key: of, Payload: payload, Headers: headers, CreatedAt: createdAt.UnixMicro(),
			}
			if origin != nil {
				r.Origin = *origin
			}
			b.Due = append(b.Due, Due{r, *attempt})
		case rowEarly:
			b.Early = append(b.Early, Early{*id, of})
		case rowFree:
			b.Free = append(b.Free, of)
		}
		return nil
	})
	if err != nil && !b.CutOff {
		return DueBatch{}, fmt.Errorf("read due deliveries: %w", err)
	}
	if size > pg.LargeValue {
		pg.LetGo(ctx, conn)
	}
	b.CutOff = b.CutOff || len(b.Due) == q.Limit
	return b, nil
}
