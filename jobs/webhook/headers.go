package webhook

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/pgsolo/pgsolo/jobs"
)

// describe sets the headers that tell the receiver what the request is for.
func describe(headers http.Header, invocation jobs.Invocation) {
	headers.Set("User-Agent", "pgsolo")
	headers.Set("Content-Type", contentType(invocation.Body))

	for _, name := range slices.Sorted(maps.Keys(invocation.Headers)) {
		header := "Pgsolo-Header-" + encodeName(name)
		if name != "" && headers.Values(header) == nil {
			headers.Set(header, encodeValue(invocation.Headers[name]))
		}
	}
	for name, value := range invocation.Facts {
		headers.Set("Pgsolo-"+strings.ReplaceAll(name, "_", "-"), encodeValue(value))
	}
	headers.Set("Pgsolo-Name", encodeValue(invocation.Name))
	headers.Set("Pgsolo-Attempt", strconv.Itoa(invocation.Attempt))
	headers.Set("Pgsolo-Term", strconv.FormatInt(invocation.Term, 10))
	if invocation.IdempotencyKey != "" {
		// Not in canonical form, to which receivers are blind: or else net/http takes the request for one that it may
		// send again by itself, once for each connection that it has kept. See send.
		headers.Del("Idempotency-Key")
		headers["idempotency-key"] = []string{encodeValue(invocation.IdempotencyKey)}
	}
}

func contentType(body []byte) string {
	if json.Valid(body) {
		return "application/json"
	}
	return "application/octet-stream"
}

// encodeValue makes any bytes safe in the value of a header. It is reversible because the percent sign is encoded too.
func encodeValue(value string) string {
	return encode(value, func(char byte) bool { return '!' <= char && char <= '~' && char != '%' })
}

func encodeName(name string) string {
	return encode(name, func(char byte) bool { return isTokenByte(char) && char != '%' })
}

func encode(text string, plain func(char byte) bool) string {
	var encoded strings.Builder
	for i := range len(text) {
		if plain(text[i]) {
			encoded.WriteByte(text[i])
		} else {
			fmt.Fprintf(&encoded, "%%%02X", text[i])
		}
	}
	return encoded.String()
}
