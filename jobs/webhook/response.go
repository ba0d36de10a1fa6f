package webhook

import (
	"errors"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// Of a response.
const (
	cutMark = "…" // ends a response of which there was more

	responseQuoted = 2 << 10               // bytes that an error quotes
	responseKept   = 64<<10 - len(cutMark) // bytes that a report gets; with the mark no more than it keeps
	responseRead   = 1 << 20               // bytes that are read, so that the connection can be used again
	responseTime   = time.Second           // how long a response is read after its headers
	retryAfterMost = time.Hour             // of what a receiver may ask for
)

// readResponse reads the response up to the bound and returns its start in the form that an error message ends with.
// How the body ends does not matter: the status has said it all. The report gets more of it, if there is one.
func readResponse(body io.Reader, report *jobs.Report) string {
	start, _ := io.ReadAll(io.LimitReader(body, responseQuoted))
	var kept int64
	if report != nil {
		_, _ = report.Write(start)
		kept, _ = io.CopyN(report, body, int64(responseKept-len(start)))
	}
	rest, err := io.CopyN(io.Discard, body, responseRead-responseQuoted-kept)
	if rest > 0 || len(start) > 0 && !errors.Is(err, io.EOF) { // more than is kept, or cut off on the way
		_, _ = io.WriteString(report, cutMark)
	}

	text := text.Printable(start)
	if text == "" {
		return ""
	}
	if kept+rest > 0 {
		text += cutMark
	}
	return ": " + text
}

// retryAfter is how long a receiver that is overloaded asks to be left alone. One that asks for no time at all gets the
// usual backoff.
func retryAfter(response *http.Response, now time.Time) (wait time.Duration, ok bool) {
	if response.StatusCode != http.StatusTooManyRequests && response.StatusCode != http.StatusServiceUnavailable {
		return 0, false
	}
	value := strings.TrimSpace(response.Header.Get("Retry-After"))
	if seconds, err := strconv.ParseUint(value, 10, 64); err == nil {
		wait = time.Duration(min(seconds, uint64(retryAfterMost/time.Second))) * time.Second
	} else if date, err := http.ParseTime(value); err == nil {
		wait = date.Sub(now)
	}
	return min(wait, retryAfterMost), wait > 0
}
