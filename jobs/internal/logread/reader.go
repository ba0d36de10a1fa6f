package logread

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Rows of other topics come without their contents: no payload in the answer means another topic, since the column is
// never null. Of deliver_at comes how long until then, and only where it lies ahead: in seconds, and no more of them
// than make a time.Duration.
const (
	selectNew = `select e.id, case when e.topic = $1 then e.payload end, case when e.topic = $1 then e.headers end,
			e.key, e.created_at,
			case when e.deliver_at > statement_timestamp()
				then least(extract(epoch from e.deliver_at - statement_timestamp()), 1e9)::float8 end
		from pgsolo.event e
		where e.id > $2
		order by e.id
		limit $3`

	// The snapshot's xmin comes from the very statement that reads, so that it speaks of just what that could see. The
	// outer join keeps one row with it where nothing was found. The inner order and limit make each hole a step in the
	// index: without them the planner, which knows nothing of the holes, may read the whole table for each. That it
	// does not see how many they are keeps it from compiling the statement, which takes longer than to run it.
	selectInHoles = `select e.id, case when e.topic = $1 then e.payload end, case when e.topic = $1 then e.headers end,
			e.key, e.created_at,
			case when e.deliver_at > statement_timestamp()
				then least(extract(epoch from e.deliver_at - statement_timestamp()), 1e9)::float8 end,
			s.xmin
		from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin) s left join (
			select e.*
			from unnest((select $2::bigint[]), (select $3::bigint[])) h (lo, hi)
			join lateral (select * from pgsolo.event where id >= h.lo and id < h.hi order by id limit $4) e on true
			order by e.id
			limit $4
		) e on true
		order by e.id`
)

// The columns of both statements, and how they are asked for: numbers and times in binary, jsonb as the text that it is
// sent as either way. Of selectNew's answer xmin is not a part.
const (
	columnID = iota
	columnPayload
	columnHeaders
	columnKey
	columnCreatedAt
	columnAhead
	columnXmin
)

// Reader reads the rows of one topic from pgsolo.event. It has no state, and may be used by any goroutine.
type Reader struct {
	db    pg.DB
	topic string
	mode  pgx.QueryExecMode
}

// NewReader makes a Reader of the topic.
func NewReader(db pg.DB, topic string) Reader {
	mode := db.Pool.Config().ConnConfig.DefaultQueryExecMode
	if mode == pgx.QueryExecModeSimpleProtocol {
		mode = pgx.QueryExecModeExec // the simple protocol knows no binary
	}
	return Reader{db, topic, mode}
}

// after returns the next rows above id, at most limit.
func (r *Reader) after(ctx context.Context, id int64, limit, expected int) (*Page, error) {
	return r.read(ctx, Page{after: id, Records: make([]Record, 0, expected)}, limit, selectNew,
		pgx.QueryResultFormats{1, 0, 0, 1, 1, 1}, r.topic, id, limit)
}

// In returns the rows that have become visible in holes, at most limit.
func (r *Reader) In(ctx context.Context, h idset.Holes, limit int) (*Page, error) {
	los, his := h.Bounds()
	return r.read(ctx, Page{}, limit, selectInHoles,
		pgx.QueryResultFormats{1, 0, 0, 1, 1, 1, 1}, r.topic, los, his, limit)
}

const selectNumber = `select pg_current_xact_id()::text::bigint`

// TransactionNumber returns one that has just been given out.
func TransactionNumber(ctx context.Context, db pg.DB) (n int64, err error) {
	if err := db.QueryRow(ctx, selectNumber).Scan(&n); err != nil {
		return 0, fmt.Errorf("take a transaction number: %w", err)
	}
	return n, nil
}

// errPageFull ends a read of more than PageBytes. The connection is given up with it, which is cheaper than to receive
// the rest.
var errPageFull = errors.New("page is full")

func (r *Reader) read(
	ctx context.Context, p Page, limit int, sql string, formats pgx.QueryResultFormats, args ...any,
) (*Page, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	rows, err := r.db.Query(ctx, sql, append([]any{r.mode, formats}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	var values Arena
	for err == nil && rows.Next() {
		if err = p.add(rows.RawValues(), r.topic, &values); err != nil {
			cancel()
		}
	}
	rows.Close()
	if err == nil {
		err = rows.Err()
	}
	if err != nil && !errors.Is(err, errPageFull) {
		return nil, fmt.Errorf("read events: %w", err)
	}
	p.cutOff = err != nil || p.Rows == limit
	return &p, nil
}

// add takes in one row of the answer, whose bytes last only until the next one.
func (p *Page) add(row [][]byte, topic string, values *Arena) error {
	if len(row) > columnXmin {
		p.xmin = int64(binary.BigEndian.Uint64(row[columnXmin]))
	}
	if row[columnID] == nil {
		return nil // only the snapshot
	}
	if p.bytes > PageBytes {
		return errPageFull
	}
	id := int64(binary.BigEndian.Uint64(row[columnID]))
	p.Rows++
	p.present.Add(idset.One(id))
	payload, headers, key := row[columnPayload], row[columnHeaders], row[columnKey]
	if payload == nil {
		p.Foreign.Add(idset.One(id))
		return nil
	}
	r := Record{ID: id, Topic: topic, Payload: values.Bytes(payload), CreatedAt: microseconds(row[columnCreatedAt])}
	if len(headers) > len("{}") {
		r.Headers = values.Bytes(headers)
	}
	if len(key) > 0 {
		r.Key = values.string(key)
	}
	p.bytes += len(payload) + len(headers) + len(key)
	if ahead := row[columnAhead]; ahead != nil {
		due := time.Now().Add(pg.Seconds(math.Float64frombits(binary.BigEndian.Uint64(ahead))))
		p.Later = append(p.Later, Later{r, due})
		return nil
	}
	p.Records = append(p.Records, r)
	return nil
}

// microseconds turns a timestamptz, which counts from the year 2000, into Unix time.
func microseconds(timestamptz []byte) int64 {
	const year2000 = 946_684_800_000_000
	return year2000 + int64(binary.BigEndian.Uint64(timestamptz))
}
