package eventlog

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/keys"
)

// due is what the loop of a handler knows of its rows in pgsolo.delivery: which of them it has, and when to query those
// that are due.
type due struct {
	retrying map[int64]string // queued, with a worker, or with an outcome not written yet; their keys, with order
	dueBy    time.Time        // the next query
	none     bool             // there was no row at all
	queries  int              // in this term
}

func newDue() due { return due{retrying: map[int64]string{}, dueBy: time.Now()} }

// queryBy makes the next query begin at that time, or before.
func (d *due) queryBy(at time.Time) {
	if at.Before(d.dueBy) {
		d.dueBy = at
	}
}

// isDue says whether to query now. Where the handler has no deliveries, no other session can have changed one, and
// there is nothing to query: none as of the latest query, this term has written none since, and keys know of none
// (noKeys).
func (d *due) isDue(now time.Time, noKeys bool) bool {
	if now.Before(d.dueBy) {
		return false
	}
	if d.none && noKeys {
		d.dueBy = now.Add(cursor.DueEvery)
		return false
	}
	return true
}

// taken lists the deliveries that a query is to leave out.
func (d *due) taken() []int64 {
	ids := make([]int64, 0, len(d.retrying))
	for id := range d.retrying {
		ids = append(ids, id)
	}
	return ids
}

// dueQuery is a query with what was known when it began.
type dueQuery struct {
	cursor.DueQuery
	began keys.Mark
}
