package jobs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
)

// row is what a read of the log brings for each id. Rows of other topics come without their contents: their ids count, because
// only then is a missing id a hole.
type row struct {
	id    int64
	mine  bool
	event Event
}

// page is the outcome of one read.
type page struct {
	rows   []row
	bytes  int
	cutOff bool  // there may be more
	xmin   int64 // of the snapshot, for a read of holes
}

const (
	selectNew = `select e.id, e.topic = $1, e.key, case when e.topic = $1 then e.payload end,
			case when e.topic = $1 then e.headers end, e.created_at, 0::bigint
		from pgsolo.event e
		where e.id > $2
		order by e.id
		limit $3`

	// The snapshot's xmin comes from the very statement that reads, so that it speaks of just what that could see. The outer join
	// keeps one row with it where nothing was found. The inner order and limit make each hole a look at the index: without them
	// the planner, which knows nothing of the holes, may read the whole table for each.
	selectInHoles = `select e.id, e.topic = $1, e.key, case when e.topic = $1 then e.payload end,
			case when e.topic = $1 then e.headers end, e.created_at, s.xmin
		from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin) s left join (
			select e.*
			from unnest($2::bigint[], $3::bigint[]) h (lo, hi)
			join lateral (select * from pgsolo.event where id >= h.lo and id < h.hi order by id limit $4) e on true
			order by e.id
			limit $4
		) e on true
		order by e.id`
)

// eventLog reads pgsolo.event for one handler.
type eventLog struct {
	pool           *pgxpool.Pool
	schema         string
	handler, topic string
	term           int64
}

// after returns the next rows above id, at most limit.
func (l *eventLog) after(ctx context.Context, id int64, limit int) (page, error) {
	return l.read(ctx, limit, selectNew, l.topic, id, limit)
}

// in returns the rows that have become visible in holes, at most limit.
func (l *eventLog) in(ctx context.Context, h holes, limit int) (page, error) {
	los, his := h.bounds()
	return l.read(ctx, limit, selectInHoles, l.topic, los, his, limit)
}

const selectNumber = `select pg_current_xact_id()::text::bigint`

// number returns a transaction number that has just been given out.
func (l *eventLog) number(ctx context.Context) (n int64, err error) {
	if err := l.pool.QueryRow(ctx, inSchema(selectNumber, l.schema)).Scan(&n); err != nil {
		return 0, fmt.Errorf("take a transaction number: %w", err)
	}
	return n, nil
}

// errPageFull ends a read of more than pageBytes. The connection is given up with it, which is cheaper than to receive the rest.
var errPageFull = errors.New("page is full")

func (l *eventLog) read(ctx context.Context, limit int, sql string, args ...any) (page, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := l.pool.Query(ctx, inSchema(sql, l.schema), args...)
	if err != nil {
		return page{}, fmt.Errorf("read events: %w", err)
	}
	var (
		p                page
		id               *int64
		mine             *bool
		key              *string
		payload, headers []byte
		createdAt        *time.Time
	)
	_, err = pgx.ForEachRow(rows, []any{&id, &mine, &key, &payload, &headers, &createdAt, &p.xmin}, func() error {
		if id == nil {
			return nil // only the snapshot
		}
		if p.bytes > pageBytes {
			cancel()
			return errPageFull
		}
		r := row{id: *id, mine: *mine}
		if r.mine {
			decoded, err := decodeHeaders(headers)
			if err != nil {
				return fmt.Errorf("event %d: %w", *id, err)
			}
			r.event = Event{
				Handler: l.handler, ID: *id, Topic: l.topic, Headers: decoded, Payload: payload, CreatedAt: *createdAt,
				Attempt: 1, Term: l.term,
			}
			if key != nil {
				r.event.Key = *key
			}
		}
		p.rows = append(p.rows, r)
		p.bytes += len(payload) + len(headers)
		return nil
	})
	if err != nil && !errors.Is(err, errPageFull) {
		return page{}, fmt.Errorf("read events: %w", err)
	}
	p.cutOff = err != nil || len(p.rows) == limit
	return p, nil
}

// decodeHeaders keeps strings as they are and everything else as its JSON.
func decodeHeaders(text []byte) (map[string]string, error) {
	headers := map[string]string{}
	if len(text) <= len("{}") {
		return headers, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("decode headers: %w", err)
	}
	for name, value := range raw {
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(value)
		}
		headers[name] = s
	}
	return headers, nil
}
