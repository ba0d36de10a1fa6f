package jobs

import (
	"context"
	"encoding/json"
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

// page is the outcome of one read. xmin and xmax bound the snapshot that it was made with.
type page struct {
	rows       []row
	bytes      int
	xmin, xmax int64
}

// The snapshot's bounds come from the very statement that reads, so that they speak of just what it could see.
const (
	snapshotBounds = `(select pg_snapshot_xmin(pg_current_snapshot())::text::bigint) as xmin,
		(select pg_snapshot_xmax(pg_current_snapshot())::text::bigint) as xmax`

	selectNew = `select e.id, e.topic = $1, e.key, case when e.topic = $1 then e.payload end,
			case when e.topic = $1 then e.headers end, e.created_at, ` + snapshotBounds + `
		from pgsolo.event e
		where e.id > $2
		order by e.id
		limit $3`

	// The outer join keeps one row with the bounds where nothing was found.
	selectInHoles = `select e.id, e.topic = $1, e.key, case when e.topic = $1 then e.payload end,
			case when e.topic = $1 then e.headers end, e.created_at, s.xmin, s.xmax
		from (select ` + snapshotBounds + `) s left join (
			select e.*
			from unnest($2::bigint[], $3::bigint[]) h (lo, hi)
			join lateral (select * from pgsolo.event where id >= h.lo and id < h.hi) e on true
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
	rows, err := l.pool.Query(ctx, inSchema(selectNew, l.schema), l.topic, id, limit)
	if err != nil {
		return page{}, fmt.Errorf("read events: %w", err)
	}
	return l.collect(rows)
}

// in returns the rows that have become visible in holes, at most limit, and the bounds even if there are none.
func (l *eventLog) in(ctx context.Context, h holes, limit int) (page, error) {
	los, his := h.bounds()
	rows, err := l.pool.Query(ctx, inSchema(selectInHoles, l.schema), l.topic, los, his, limit)
	if err != nil {
		return page{}, fmt.Errorf("read late events: %w", err)
	}
	return l.collect(rows)
}

func (l *eventLog) collect(rows pgx.Rows) (page, error) {
	var (
		p                page
		id               *int64
		mine             *bool
		key              *string
		payload, headers []byte
		createdAt        *time.Time
	)
	_, err := pgx.ForEachRow(rows, []any{&id, &mine, &key, &payload, &headers, &createdAt, &p.xmin, &p.xmax}, func() error {
		if id == nil {
			return nil // only the bounds
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
	if err != nil {
		return page{}, fmt.Errorf("read events: %w", err)
	}
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
