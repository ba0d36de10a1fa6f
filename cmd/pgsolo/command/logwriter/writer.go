package logwriter

import (
	"bytes"
	"io"
	"sync"
	"time"
)

// Writer is an io.Writer of whole lines. Its methods may be called at any time by several goroutines.
type Writer struct {
	output io.Writer
	limit  int // bytes
	notice func(lines int) []byte
	ended  chan struct{} // closed when the goroutine has ended

	mu       sync.Mutex // guards all below
	changed  sync.Cond  // with mu: there is something to take
	queue    []entry
	waiting  int  // bytes of the queue
	dropping bool // until half of the queue is free
	closed   bool // no line is taken in any more
	gaveUp   bool // the bound of Close has passed
}

// entry is a line, or in the place of lines that were dropped, how many they are.
type entry struct {
	line    []byte
	dropped int
}

// New returns a writer of which at most limit bytes wait for the output. notice makes the line that says how many were
// dropped; it must not write to the writer. The caller closes the writer.
func New(output io.Writer, limit int, notice func(lines int) []byte) *Writer {
	w := &Writer{output: output, limit: limit, notice: notice, ended: make(chan struct{})}
	w.changed.L = &w.mu
	go w.run()
	return w
}

// Write takes in a line, or drops it. It always returns the length of the line and nil.
func (w *Writer) Write(line []byte) (int, error) {
	kept := bytes.Clone(line)
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.closed:
	case w.dropping || w.waiting+len(kept) > w.limit:
		w.dropping = true
		w.dropLocked()
	default:
		w.queue = append(w.queue, entry{line: kept})
		w.waiting += len(kept)
	}
	w.changed.Signal()
	return len(line), nil
}

// dropLocked counts a line where it would have stood.
func (w *Writer) dropLocked() {
	if n := len(w.queue); n == 0 || w.queue[n-1].dropped == 0 {
		w.queue = append(w.queue, entry{})
	}
	w.queue[len(w.queue)-1].dropped++
}

// Close writes what waits, for as long as the bound allows, and says whether the output has been offered all of it.
// Lines that come later are dropped. It may be called again.
func (w *Writer) Close(within time.Duration) bool {
	w.mu.Lock()
	w.closed = true
	w.changed.Signal()
	w.mu.Unlock()
	ended := true
	select {
	case <-w.ended:
	case <-time.After(within):
		ended = false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.gaveUp = w.gaveUp || !ended
	return !w.gaveUp
}

// run writes what is taken in, until the writer is closed.
func (w *Writer) run() {
	defer close(w.ended)
	lost := 0 // lines of which the output has not been told
	for e, ok := w.take(); ok; e, ok = w.take() {
		lost += e.dropped
		if lost > 0 && w.put(w.notice(lost)) {
			lost = 0
		}
		if e.line != nil && (lost > 0 || !w.put(e.line)) {
			lost++
		}
	}
}

// take waits for the next entry. It returns false when there is none to come, or to be written.
func (w *Writer) take() (e entry, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for len(w.queue) == 0 && !w.closed {
		w.changed.Wait()
	}
	if len(w.queue) == 0 || w.gaveUp {
		return entry{}, false
	}
	e = w.queue[0]
	w.queue[0] = entry{}
	w.queue = w.queue[1:]
	if w.waiting -= len(e.line); w.waiting <= w.limit/2 {
		w.dropping = false
	}
	return e, true
}

// put offers a line to the output.
func (w *Writer) put(line []byte) bool {
	_, err := w.output.Write(line)
	return err == nil
}
