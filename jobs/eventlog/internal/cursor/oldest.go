package cursor

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// The first event of the topic that is not done, and the first delivery that waits for nothing but a retry or its turn:
// each is some steps in an index. An event that is not done lies in a gap of what is, or above it; many gaps have none,
// since their ids were rolled back, or their transactions run on. Beside that, how many events of the topic there are
// among the first rows that the handler has not seen, and whether these are all.
const selectOldest = `select c.handler, extract(epoch from clock_timestamp() - least(
		(select e.created_at
			from (
				(
					select lower(r) as lo, upper(r) as hi
					from unnest(int8multirange(int8range(1, coalesce(upper(c.done), 1))) - c.done) r limit $3
				)
				union all
				select coalesce(upper(c.done), 1), 9223372036854775807
			) gap cross join lateral (
				select e.id, e.created_at from (
					select e.id, e.topic, e.created_at from pgsolo.event e
					where e.id >= gap.lo and e.id < gap.hi order by e.id limit $3
				) e
				where e.topic = c.topic order by e.id limit 1
			) e
			order by e.id limit 1),
		(select d.created_at from pgsolo.delivery d
			where d.handler = c.handler and d.topic = c.topic and d.state in ('retry', 'waiting')
			order by d.event_id limit 1)))::float8, u.events, u.more
	from unnest($1::text[], $2::bigint[]) s (handler, seen) join pgsolo.cursor c on c.handler = s.handler
		cross join lateral (
			select count(*) filter (where e.topic = c.topic) as events, count(*) = $3 as more
			from (select e.topic from pgsolo.event e where e.id > s.seen order by e.id limit $3) e
		) u`

const (
	// readEvery is how often the leader reads the age of the oldest event that each handler is not done with.
	readEvery = 5 * time.Second

	maxOldest = 5000 // gaps, and rows, that are read: some milliseconds
)

// Oldest keeps since when the oldest event waits that each handler is not done with, and how many it has not seen. It
// may be used by any goroutine.
type Oldest struct {
	DB     pg.DB
	Logger hclog.Logger

	// Seen is the highest id given out so far, and up to where each handler has seen.
	Seen func() (given int64, to map[string]int64)

	latest atomic.Pointer[map[string]oldest] // handlers without a cursor are missing
}

// oldest is what was read of one handler.
type oldest struct {
	since time.Time // zero: it is done with all

	// Among the ids above seen, up to given, so many events are for the handler; -1: more than were looked at.
	seen, given, events int64
}

// Watch reads it until nothing new may begin. It is worth no more than that: what goes wrong is left to the loops that
// it stops.
func (o *Oldest) Watch(ctx context.Context, lead *loop.Leadership) {
	o.latest.Store(nil)
	lead.Every(readEvery, func() {
		if err := pg.Try(ctx, o.Read); err != nil {
			o.Logger.Debug("age of the oldest event is not known", "error", err)
		}
	})
	o.latest.Store(nil)
}

// Read reads it now.
func (o *Oldest) Read(ctx context.Context) error {
	given, seen := o.Seen()
	var (
		names []string
		tos   []int64
	)
	for name, to := range seen {
		names, tos = append(names, name), append(tos, to)
	}
	var (
		latest  = map[string]oldest{}
		name    string
		seconds *float64
		events  int64
		more    bool
	)
	rows, err := o.DB.Query(ctx, selectOldest, names, tos, maxOldest)
	if err == nil {
		_, err = pgx.ForEachRow(rows, []any{&name, &seconds, &events, &more}, func() error {
			of := oldest{seen: seen[name], given: given, events: events}
			if seconds != nil {
				of.since = time.Now().Add(-max(1, time.Duration(*seconds*float64(time.Second))))
			}
			if more {
				of.events = -1
			}
			latest[name] = of
			return nil
		})
	}
	if err != nil {
		return fmt.Errorf("look for the oldest events: %w", err)
	}
	o.latest.Store(&latest)
	return nil
}

func (o *Oldest) of(handler string) (of oldest, known bool) {
	if latest := o.latest.Load(); latest != nil {
		of, known = (*latest)[handler]
	}
	return of, known
}

// Age grows between two reads. 0: there is nothing to be done.
func (o *Oldest) Age(handler string) time.Duration {
	if of, _ := o.of(handler); !of.since.IsZero() {
		return time.Since(of.since)
	}
	return 0
}

// Unseen is at most how many events up to given a handler has not seen, which has seen those up to seen. Ids above what
// was given out at the latest read may be events of the topic or not.
func (o *Oldest) Unseen(handler string, seen, given int64) int64 {
	ids := max(0, given-seen)
	if of, known := o.of(handler); known && of.events >= 0 && of.seen <= seen {
		return min(ids, of.events+max(0, given-of.given))
	}
	return ids
}
