package fleet

import (
	"bytes"
	"sync"
)

// output keeps what a process writes, or the end of it.
type output struct {
	keep int // bytes; 0: all

	mu   sync.Mutex // guards text
	text []byte
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.text = append(o.text, p...)
	if o.keep > 0 {
		o.text = o.text[max(0, len(o.text)-o.keep):]
	}
	return len(p), nil
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return string(o.text)
}

// lineWriter passes on what is written to it line by line. One goroutine at a time uses it.
type lineWriter struct {
	line func(string)
	rest []byte // of a line that has not ended yet
}

func (w *lineWriter) Write(p []byte) (int, error) {
	w.rest = append(w.rest, p...)
	for {
		line, rest, ended := bytes.Cut(w.rest, []byte("\n"))
		if !ended {
			return len(p), nil
		}
		w.rest = rest
		w.line(string(line))
	}
}

// flush passes on a last line that has no end.
func (w *lineWriter) flush() {
	if len(w.rest) > 0 {
		w.line(string(w.rest))
	}
}
