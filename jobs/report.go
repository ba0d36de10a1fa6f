package jobs

import (
	"slices"
	"sync"
	"unicode/utf8"

	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

const (
	maxOutput = 64 << 10 // bytes of a run's output that are kept, the last ones
	cutMark   = "…"      // begins an output that had more before it
)

// Report is what a run leaves in the history, beside its outcome. All methods may be called from any goroutine, and on
// a nil Report, which keeps nothing. The zero Report is empty. After End nothing is added.
type Report struct {
	mu sync.Mutex // guards all below

	output []byte // grows to maxOutput, and is a ring from then on
	oldest int    // where in output the ring begins
	cut    bool   // whether there was more before output

	exitCode   *int
	httpStatus *int
	over       bool
}

// Write adds to the output, of which the last 64 KiB are kept. It never fails.
func (r *Report) Write(p []byte) (int, error) {
	if r == nil {
		return len(p), nil
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		r.keep(p)
	}
	return len(p), nil
}

// keep copies each byte once, however small the writes are.
func (r *Report) keep(p []byte) {
	if extra := len(p) - maxOutput; extra > 0 {
		p, r.cut = p[extra:], true
	}
	if free := min(maxOutput-len(r.output), len(p)); free > 0 {
		if need := len(r.output) + free; need > cap(r.output) {
			grown := make([]byte, len(r.output), min(maxOutput, max(need, 2*cap(r.output))))
			copy(grown, r.output)
			r.output = grown
		}
		r.output = append(r.output, p[:free]...)
		p = p[free:]
	}
	for len(p) > 0 {
		n := copy(r.output[r.oldest:], p)
		r.oldest, r.cut = (r.oldest+n)%maxOutput, true
		p = p[n:]
	}
}

// SetExitCode notes with which status a program has exited. One that did not start, or that a signal has ended, has
// none.
func (r *Report) SetExitCode(code int) {
	r.set(func() { r.exitCode = &code })
}

// SetHTTPStatus notes the answer to a request.
func (r *Report) SetHTTPStatus(status int) {
	r.set(func() { r.httpStatus = &status })
}

func (r *Report) set(note func()) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if !r.over {
		note()
	}
}

// End ends the report and returns what the history keeps. The output is as a text column takes it: valid UTF-8 of up to
// 64 KiB, without control characters other than line feed and tab. A second call gets no output.
func (r *Report) End() (output string, exitCode, httpStatus *int) {
	if r == nil {
		return "", nil, nil
	}
	r.mu.Lock()
	r.over = true
	older, newer, cut := r.output[r.oldest:], r.output[:r.oldest], r.cut
	r.output, r.oldest, r.cut = nil, 0, false
	exitCode, httpStatus = r.exitCode, r.httpStatus
	r.mu.Unlock() // the bytes are this call's alone from here on

	if len(older) == 0 {
		return "", exitCode, httpStatus
	}
	if cut {
		older = withoutTail(older)
	}
	const edge = "|" // keeps Printable from dropping the white space at both ends
	kept := text.Printable(slices.Concat([]byte(edge), older, newer, []byte(edge)))
	return lastBytes(kept[len(edge):len(kept)-len(edge)], cut), exitCode, httpStatus
}

// withoutTail drops what a cut has left of a character at the start.
func withoutTail(output []byte) []byte {
	for range min(utf8.UTFMax-1, len(output)) {
		if utf8.RuneStart(output[0]) {
			break
		}
		output = output[1:]
	}
	return output
}

// lastBytes bounds the text, which replaced characters may have made longer than the bytes were, and shows a cut.
func lastBytes(output string, cut bool) string {
	if !cut && len(output) <= maxOutput {
		return output
	}
	start := max(0, len(output)-(maxOutput-len(cutMark)))
	for start < len(output) && !utf8.RuneStart(output[start]) {
		start++
	}
	return cutMark + output[start:]
}
