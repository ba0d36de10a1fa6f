package webhook

import (
	"io"
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/printable"
)

const (
	responseQuoted = 2 << 10     // bytes of a response that an error quotes
	responseRead   = 1 << 20     // bytes of a response that are read, so that the connection can be used again
	responseTime   = time.Second // how long a response is read after its headers
)

// readResponse reads the response up to the bound and returns its start in the form that an error message ends with. How the
// body ends does not matter: the status has said it all.
func readResponse(body io.Reader) string {
	start, _ := io.ReadAll(io.LimitReader(body, responseQuoted))
	rest, _ := io.CopyN(io.Discard, body, responseRead-responseQuoted)

	text := printable.Text(start)
	if text == "" {
		return ""
	}
	if rest > 0 {
		text += "…"
	}
	return ": " + text
}
