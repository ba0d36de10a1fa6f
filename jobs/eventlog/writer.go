package eventlog

import (
	"strings"
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/queue"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

const (
	// While deliveries wait, results are gathered for so long before they are written. As soon as nothing waits, they
	// are written at once.
	gather = 5 * time.Millisecond

	// How often progress over events of other topics, which nothing waits for, is written.
	idleSave = time.Second
)

// writer is what the loop of a handler has to write down. An event is in unsaved.Done only after its result is there,
// and forgotten only after a write that has it was committed. At most one write is under way, while the next one
// gathers.
type writer struct {
	unsaved cursor.Progress
	results bool             // unsaved has some, and not only ids of other topics
	busy    bool             // deliveries waited when the latest results were taken
	writing *cursor.Progress // under way; nil: none
	wrote   chan outcome     // capacity 1, so that the sender never waits
	began   time.Time        // the latest write
	taken   queue.Results    // memory to be used again
}

func newWriter() writer { return writer{wrote: make(chan outcome, 1)} }

// changed is the queue's channel while the loop is to be woken for results: it is not while it knows of some that it
// has yet to write, or the workers would wake it for each event.
func (w *writer) changed(q *queue.Queue) <-chan struct{} {
	if w.writing != nil || w.results {
		return nil
	}
	return q.Changed()
}

// hasUnsaved says whether a write can begin.
func (w *writer) hasUnsaved() bool { return w.writing == nil && !w.unsaved.IsEmpty() }

// dueAt is when the unsaved progress is to be written. The zero time is at once.
func (w *writer) dueAt() time.Time {
	switch {
	case w.results && !w.busy:
		return time.Time{}
	case w.results:
		return w.began.Add(gather)
	default:
		return w.began.Add(idleSave)
	}
}

// take exchanges the results that have come in since the last call.
func (w *writer) take(q *queue.Queue) queue.Results {
	w.taken, w.busy = q.Take(w.taken)
	if w.taken.Count > 0 {
		w.results = w.results || len(w.taken.Done) > 0
		for _, s := range w.taken.Done {
			w.unsaved.Done.Add(s)
		}
	}
	return w.taken
}

// succeeded takes in the success of a delivery that the queue reports by itself.
func (w *writer) succeeded(d queue.Delivery) {
	w.results = true
	if d.Retry {
		w.unsaved.Succeeded = append(w.unsaved.Succeeded, d.Record.ID)
	} else {
		w.unsaved.Done.Add(idset.One(d.Record.ID))
	}
}

// failed takes in an attempt that failed. After the first one the event has a row of its own.
func (w *writer) failed(d queue.Delivery, f cursor.Failure) {
	w.results = true
	w.unsaved.Failed = append(w.unsaved.Failed, f)
	if !d.Retry {
		w.unsaved.Done.Add(idset.One(d.Record.ID))
		w.unsaved.Copied += len(d.Record.Payload)
	}
}

// gone takes in ids that need no work.
func (w *writer) gone(spans []idset.Span) {
	for _, s := range spans {
		w.unsaved.Done.Add(s)
	}
}

// move gives an event a row of its own before its first attempt.
func (w *writer) move(m cursor.Moved, size int) {
	w.results = true
	w.unsaved.Moved = append(w.unsaved.Moved, m)
	w.unsaved.Done.Add(idset.One(m.ID))
	w.unsaved.Copied += size
}

// moveBehind moves an event to the rows of its key, where it waits for its turn.
func (w *writer) moveBehind(r *logread.Record) {
	key := strings.Clone(r.Key) // of a page, which it would keep in memory
	w.move(cursor.Moved{ID: r.ID, Key: key}, len(r.Payload))
}

// early makes a delivery one that waits for its turn: only its date has come.
func (w *writer) early(id int64) {
	w.results = true
	w.unsaved.Early = append(w.unsaved.Early, id)
}

// begin takes out the unsaved progress, to be written, and gathers anew.
func (w *writer) begin(now time.Time) *cursor.Progress {
	p := w.unsaved
	w.writing, w.unsaved, w.results, w.began = &p, cursor.Progress{}, false, now
	return &p
}

// end takes in how the write has ended. What may not have been written is unsaved again.
func (w *writer) end(err error) *cursor.Progress {
	p := w.writing
	w.writing = nil
	if err != nil {
		p.Add(&w.unsaved)
		w.unsaved = *p
	}
	return p
}
