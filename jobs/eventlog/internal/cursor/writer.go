package cursor

import (
	"math/rand/v2"
	"strings"
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

const (
	// Gather is for how long results are gathered before they are written, while deliveries wait. As soon as nothing
	// waits, they are written at once.
	Gather = 5 * time.Millisecond

	// IdleSave is how often progress over events of other topics, which nothing waits for, is written.
	IdleSave = time.Second
)

// Writer is what the loop of a handler has to write down. An event is in Unsaved.Done only after its result is there,
// and forgotten only after a write that has it was committed. At most one write is under way, while the next one
// gathers.
type Writer struct {
	Unsaved Progress
	Writing *Progress // under way; nil: none
	Began   time.Time // the latest write

	id, number int64     // of the writer, and of its latest write
	marker     string    // see logread.Refusal
	inDoubt    *Progress // a write that failed, and may have been carried out; nil: none
	results    bool      // Unsaved has some, and not only ids of other topics
	busy       bool      // deliveries waited when the latest results were taken
}

// NewWriter returns one that no other leadership, process or machine has had.
func NewWriter(marker string) Writer { return Writer{id: rand.Int64(), marker: marker} }

// WantsResults says whether the loop is to be woken for results: not while it knows of some that it has yet to write,
// or the workers would wake it for each event.
func (w *Writer) WantsResults() bool { return w.Writing == nil && !w.results }

// HasUnsaved says whether a write can begin.
func (w *Writer) HasUnsaved() bool {
	return w.Writing == nil && (w.inDoubt != nil || !w.Unsaved.IsEmpty())
}

// DueAt is when the unsaved progress is to be written. The zero time is at once.
func (w *Writer) DueAt() time.Time {
	switch {
	case w.results && !w.busy:
		return time.Time{}
	case w.results:
		return w.Began.Add(Gather)
	default:
		return w.Began.Add(IdleSave)
	}
}

// Taken takes in first attempts that succeeded. busy: deliveries wait.
func (w *Writer) Taken(done idset.Set, busy bool) {
	w.results, w.busy = w.results || len(done) > 0, busy
	w.Gone(done)
}

// Succeeded takes in the success of a delivery that comes by itself. retry: it has a row of its own.
func (w *Writer) Succeeded(id int64, retry bool) {
	w.results = true
	if retry {
		w.Unsaved.Succeeded = append(w.Unsaved.Succeeded, id)
	} else {
		w.Unsaved.Done.Add(idset.One(id))
	}
}

// Failed takes in an attempt that failed. After the first one the event has a row of its own.
func (w *Writer) Failed(f Failure) {
	w.results = true
	w.Unsaved.Failed = append(w.Unsaved.Failed, f)
	if !f.Retry {
		w.Unsaved.Done.Add(idset.One(f.ID))
		w.Unsaved.Copied += w.copied(f.Record)
	}
}

// Gone takes in ids that need no work.
func (w *Writer) Gone(spans []idset.Span) {
	for _, s := range spans {
		w.Unsaved.Done.Add(s)
	}
}

// Move gives an event a row of its own before its first attempt.
func (w *Writer) Move(m Moved) {
	w.results = true
	w.Unsaved.Moved = append(w.Unsaved.Moved, m)
	w.Unsaved.Done.Add(idset.One(m.Record.ID))
	w.Unsaved.Copied += w.copied(m.Record)
}

// copied is about how many bytes a row takes. What was not read may take any.
func (w *Writer) copied(r *logread.Record) int {
	if logread.Refusal(r.Payload, w.marker) != nil {
		return logread.PageBytes
	}
	return len(r.Payload)
}

// MoveBehind moves an event to the rows of its key, where it waits for its turn.
func (w *Writer) MoveBehind(r *logread.Record) { w.Move(Moved{Record: r, Key: strings.Clone(r.Key)}) }

// Early makes a delivery one that waits for its turn: only its date has come.
func (w *Writer) Early(id int64) {
	w.results = true
	w.Unsaved.Early = append(w.Unsaved.Early, id)
}

// Begin takes out the unsaved progress, to be written, and gathers anew. A write in doubt comes first, as it was: it is
// the same one.
func (w *Writer) Begin(now time.Time) *Progress {
	w.Began = now
	if w.Writing, w.inDoubt = w.inDoubt, nil; w.Writing == nil {
		p := w.Unsaved
		w.number++
		p.Writer, p.Number = w.id, w.number
		w.Writing, w.Unsaved, w.results = &p, Progress{}, false
	}
	return w.Writing
}

// End takes in how the write has ended.
func (w *Writer) End(err error) *Progress {
	p := w.Writing
	w.Writing = nil
	if err != nil {
		w.inDoubt = p
	}
	return p
}
