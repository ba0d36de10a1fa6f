// Package due keeps in memory which rows of pgsolo.delivery a handler has, and when it queries those that are due.
package due

import (
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/keys"
)

// Due is what the loop of a handler knows of its deliveries.
type Due struct {
	Retrying map[int64]string // queued, with a worker, or with an outcome not written yet; their keys, with order
	By       time.Time        // the next query
	None     bool             // there was no row at all
	Queries  int              // in this term
}

// New begins with a query.
func New() Due { return Due{Retrying: map[int64]string{}, By: time.Now()} }

// QueryBy makes the next query begin at that time, or before.
func (d *Due) QueryBy(at time.Time) {
	if at.Before(d.By) {
		d.By = at
	}
}

// Is says whether to query now. Where the handler has no deliveries, no other session can have changed one, and there
// is nothing to query: none as of the latest query, this term has written none since, and keys know of none (noKeys).
func (d *Due) Is(now time.Time, noKeys bool) bool {
	if now.Before(d.By) {
		return false
	}
	if d.None && noKeys {
		d.By = now.Add(cursor.DueEvery)
		return false
	}
	return true
}

// Query is a query with what was known when it began.
type Query struct {
	cursor.DueQuery
	Began keys.Mark
}

// Begin begins a query, which leaves out what the loop has. blocked, with order, are the keys of which an earlier event
// waits. first says that no query went before in this term.
func (d *Due) Begin(now time.Time, began keys.Mark, ordered bool, blocked func() []string) (q Query, first bool) {
	d.By = now.Add(cursor.DueEvery)
	q = Query{DueQuery: cursor.DueQuery{Taken: make([]int64, 0, len(d.Retrying)), Ordered: ordered}, Began: began}
	for id := range d.Retrying {
		q.Taken = append(q.Taken, id)
	}
	if ordered {
		q.TakenKeys = blocked()
		for _, key := range d.Retrying {
			if key != "" {
				q.TakenKeys = append(q.TakenKeys, key)
			}
		}
	}
	first = d.Queries == 0
	d.Queries++
	return q, first
}
