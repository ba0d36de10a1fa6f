package webhook

import (
	"fmt"
	"net/http"
	"strings"

	"github.com/pgsolo/pgsolo/jobs"
)

// Validate names the field that is wrong, in a *jobs.FieldError. It never prints the URL, the secret or the value of
// a header.
func (r Request) Validate() error {
	if _, err := r.parseURL(); err != nil {
		return err
	}
	if r.Method != "" && !isToken(r.Method) {
		return wrong("Method", "%q is not a method of HTTP", r.Method)
	}
	if r.Secret != "" {
		if _, err := signingKey(r.Secret); err != nil {
			return err
		}
	}
	return r.validateHeaders()
}

func wrong(field, format string, args ...any) error {
	return fmt.Errorf("webhook: %w", jobs.NewFieldError(field, format, args...))
}

func (r Request) validateHeaders() error {
	seen := map[string]bool{}
	for name, value := range r.Headers {
		if !isToken(name) {
			return wrong("Headers", "has the name %q, which no HTTP header can have", name)
		}
		canonical := http.CanonicalHeaderKey(name)
		if seen[canonical] {
			return wrong("Headers", "has %s twice: names differ in more than case", canonical)
		}
		seen[canonical] = true

		switch canonical {
		case "Content-Length", "Transfer-Encoding", "Trailer", "Connection", "Upgrade":
			return wrong("Headers", "has %s, which the HTTP client sets by itself: remove it", canonical)
		case "Webhook-Id", "Webhook-Timestamp", "Webhook-Signature":
			if r.Secret != "" {
				return wrong("Headers", "has %s, which belongs to the signature: remove it or Secret", canonical)
			}
		}
		if strings.ContainsFunc(value, isForbidden) {
			return wrong(fmt.Sprintf("Headers[%q]", name), "has a control character such as a line feed in its value")
		}
	}
	return nil
}

// isForbidden reports whether the character cannot stand in the value of a header (RFC 9110, section 5.5).
func isForbidden(char rune) bool {
	return char < ' ' && char != '\t' || char == 0x7f
}

// isToken reports whether the text can be a method or the name of a header (RFC 9110, section 5.6.2).
func isToken(text string) bool {
	for i := range len(text) {
		if !isTokenByte(text[i]) {
			return false
		}
	}
	return text != ""
}

func isTokenByte(char byte) bool {
	return 'a' <= char && char <= 'z' || 'A' <= char && char <= 'Z' || '0' <= char && char <= '9' ||
		strings.IndexByte("!#$%&'*+-.^_`|~", char) >= 0
}
