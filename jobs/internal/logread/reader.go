package logread

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// Of deliver_at comes how long until then, and only where it lies ahead: in seconds, and no more of them than make a
// time.Duration.
const ahead = `case when e.deliver_at > statement_timestamp()
				then least(extract(epoch from e.deliver_at - statement_timestamp()), 1e9)::float8 end`

var (
	selectNew      = newRows(contents("$4"))
	selectNewBlind = newRows(blind)

	selectInHoles      = rowsInHoles(contents("$5"))
	selectInHolesBlind = rowsInHoles(blind)
)

// contents are payload, headers and key. Rows of other topics come without them: no payload in the answer means another
// topic, since the column is never null. Empty headers do not come either, which is cheaper than to compare the topic.
func contents(marker string) string {
	return `case when e.topic = $1 then ` + Printed("e.payload", "$1", marker) + ` end,
			case when ` + HaveHeaders("e.headers") + ` and e.topic = $1
				then ` + PrintedHeaders("e.headers", "$1", marker) + ` end, e.key`
}

// blind is how much the contents take, which tells without a look at them which row it is that cannot be read.
const blind = `case when e.topic = $1 then (pg_column_size(e.payload) + pg_column_size(e.headers))::text end,
			null::jsonb, e.key`

func newRows(contents string) string {
	return `select e.id, ` + contents + `, e.created_at, ` + ahead + `
		from pgsolo.event e
		where e.id > $2
		order by e.id
		limit $3`
}

// The snapshot's xmin comes from the very statement that reads, so that it speaks of just what that could see. The
// outer join keeps one row with it where nothing was found. The inner order and limit make each hole a step in the
// index: without them the planner, which knows nothing of the holes, may read the whole table for each. That it does
// not see how many they are keeps it from compiling the statement, which takes longer than to run it.
func rowsInHoles(contents string) string {
	return `select e.id, ` + contents + `, e.created_at, ` + ahead + `, s.xmin
		from (select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as xmin) s left join (
			select e.*
			from unnest((select $2::bigint[]), (select $3::bigint[])) h (lo, hi)
			join lateral (select * from pgsolo.event where id >= h.lo and id < h.hi order by id limit $4) e on true
			order by e.id
			limit $4
		) e on true
		order by e.id`
}

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

	marker string // begins what stands for a value that cannot be printed
}

// NewReader makes a Reader of the topic.
func NewReader(db pg.DB, topic string) Reader {
	mode := db.Pool.Config().ConnConfig.DefaultQueryExecMode
	if mode == pgx.QueryExecModeSimpleProtocol {
		mode = pgx.QueryExecModeExec // the simple protocol knows no binary
	}
	return Reader{db, topic, mode, NewMarker()}
}

// formats are those of the columns; of selectNew's answer xmin is not a part.
var formats = pgx.QueryResultFormats{1, 0, 0, 1, 1, 1, 1}

// after returns the next rows above id, at most limit.
func (r *Reader) after(ctx context.Context, id int64, limit, expected int) (*Page, error) {
	p := Page{after: id, Records: make([]Record, 0, expected)}
	return r.read(ctx, p, limit, selectNew, formats[:columnXmin], r.topic, id, limit, r.marker)
}

// oneAfter returns the next row above id, which may be one that cannot be read.
func (r *Reader) oneAfter(ctx context.Context, id int64) (*Page, error) {
	p, err := r.read(ctx, Page{after: id}, 1, selectNewBlind, formats[:columnXmin], r.topic, id, 1)
	return r.unblind(ctx, p, err)
}

// In returns the rows that have become visible in holes, at most limit.
func (r *Reader) In(ctx context.Context, h idset.Holes, limit int) (*Page, error) {
	los, his := h.Bounds()
	return r.read(ctx, Page{}, limit, selectInHoles, formats, r.topic, los, his, limit, r.marker)
}

// oneIn returns the lowest one of those, which may be one that cannot be read.
func (r *Reader) oneIn(ctx context.Context, h idset.Holes) (*Page, error) {
	los, his := h.Bounds()
	p, err := r.read(ctx, Page{}, 1, selectInHolesBlind, formats, r.topic, los, his, 1)
	return r.unblind(ctx, p, err)
}

// muchMemory is what a row takes at least whose fault it may be that the server has no memory left.
const muchMemory = 64 << 10

// unblind gives the only row of a page its contents, or the reason why it has none: it may be another one than that
// which could not be read before, if its transaction has committed meanwhile.
func (r *Reader) unblind(ctx context.Context, p *Page, err error) (*Page, error) {
	if err != nil || len(p.Records)+len(p.Later) == 0 {
		return p, err
	}
	for i := range p.Later { // it cannot be kept for its date
		p.Records = append(p.Records, p.Later[i].Record)
	}
	p.Later = nil
	unread := &p.Records[0]
	full, err := r.after(ctx, unread.ID-1, 1, 1)
	size, _ := strconv.Atoi(string(unread.Payload))
	switch {
	case pg.IsOfRow(err) && (size >= muchMemory || !pg.IsOutOfMemory(err)):
		unread.Payload, err = damaged(err, r.marker)
		return p, err
	case err != nil:
		return nil, err
	case full.present.Highest() == unread.ID:
		p.Records, p.Later, p.bytes = full.Records, full.Later, full.bytes
	default: // it was deleted
		p.Foreign.Add(idset.One(unread.ID))
		p.Records = nil
	}
	return p, nil
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
	conn, err := r.db.Pool.Acquire(ctx)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	defer conn.Release()
	rows, err := conn.Query(ctx, r.db.Place(sql), append([]any{r.mode, formats}, args...)...)
	if err != nil {
		return nil, fmt.Errorf("read events: %w", err)
	}
	var (
		values Arena
		large  bool
	)
	for err == nil && rows.Next() {
		row := rows.RawValues()
		large = large || len(row[columnPayload]) > pg.LargeValue
		if err = p.add(row, r.topic, r.marker, &values); err != nil {
			cancel()
		}
	}
	rows.Close()
	if large {
		pg.LetGo(ctx, conn)
	}
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
func (p *Page) add(row [][]byte, topic, marker string, values *Arena) error {
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
	if Refusal(payload, marker) != nil {
		p.bytes += PageBytes // so that the next pages have few of that kind
	}
	r := Record{ID: id, Topic: topic, Payload: values.Bytes(payload), CreatedAt: microseconds(row[columnCreatedAt])}
	switch {
	case len(headers) > len("{}") && Refusal(headers, marker) != nil:
		r.Payload = values.Bytes(headers)
		p.bytes += PageBytes
	case len(headers) > len("{}"):
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
