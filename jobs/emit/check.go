package emit

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"time"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// What the log and the table of dedup keys take, in bytes: all three go into an index.
const (
	maxTopic    = 1000
	maxKey      = 1000
	maxDedupKey = 1000
)

const maxDedupWindow = 30 * 24 * time.Hour // also that of the function pgsolo.emit

// check finds what PostgreSQL would refuse, and names the field and the place. Bytes count from 1, as in package json.
func (e Event) check() error {
	if e.Topic == "" {
		return errors.New("topic is required")
	}
	for _, field := range []struct{ name, text string }{{"topic", e.Topic}, {"key", e.Key}, {"dedup key", e.DedupKey}} {
		if err := text.Check(field.text); err != nil {
			return fmt.Errorf("%s: %w", field.name, err)
		}
	}
	for name, value := range e.Headers {
		if err := errors.Join(text.Check(name), text.Check(value)); err != nil {
			return fmt.Errorf("header %q: %w", name, err)
		}
	}
	if e.Payload != nil {
		if err := checkJSON(e.Payload); err != nil {
			return fmt.Errorf("payload: %w", err)
		}
	}
	switch {
	case len(e.Topic) > maxTopic:
		return fmt.Errorf("topic has %d bytes, more than %d", len(e.Topic), maxTopic)
	case len(e.Key) > maxKey:
		return fmt.Errorf("key has %d bytes, more than %d: emit a hash of it", len(e.Key), maxKey)
	case len(e.DedupKey) > maxDedupKey:
		return fmt.Errorf("dedup key has %d bytes, more than %d: emit a hash of it", len(e.DedupKey), maxDedupKey)
	case e.DedupWindow < 0:
		return fmt.Errorf("dedup window %s is negative", e.DedupWindow)
	case e.DedupWindow > maxDedupWindow:
		return fmt.Errorf("dedup window %s is more than 30 days", e.DedupWindow)
	case e.DedupWindow > 0 && e.DedupKey == "":
		return fmt.Errorf("dedup window %s without a dedup key", e.DedupWindow)
	}
	return nil
}

// checkJSON finds what makes a payload no jsonb: bad syntax, and in strings what no text can hold.
func checkJSON(payload []byte) error {
	if !json.Valid(payload) { // copies nothing, unlike Unmarshal, which says what is wrong
		var raw json.RawMessage
		return text.WithOffset(json.Unmarshal(payload, &raw))
	}
	if !utf8.Valid(payload) {
		return fmt.Errorf("invalid UTF-8 at byte %d", 1+len(text.ValidPrefix(payload)))
	}
	return checkEscapes(payload)
}

// checkEscapes checks the \u escapes of valid JSON, which may stand for NUL or for half a pair of surrogates.
func checkEscapes(payload []byte) error {
	for at := 0; ; {
		next := bytes.IndexByte(payload[at:], '\\')
		if next < 0 {
			return nil
		}
		at += next
		unit, ok := escapedUnit(payload[at:])
		switch {
		case !ok:
			at += len(`\n`)
		case unit == 0:
			return fmt.Errorf(`NUL, as \u0000, at byte %d`, at+1)
		case !utf16.IsSurrogate(unit):
			at += len(`\u0000`)
		default:
			low, _ := escapedUnit(payload[at+len(`\u0000`):])
			if utf16.DecodeRune(unit, low) == utf8.RuneError {
				return fmt.Errorf(`half a surrogate pair, %s, at byte %d`, payload[at:at+len(`\u0000`)], at+1)
			}
			at += 2 * len(`\u0000`)
		}
	}
}

// escapedUnit is the UTF-16 unit that text, a part of valid JSON, begins with as a \u escape.
func escapedUnit(text []byte) (rune, bool) {
	if len(text) < len(`\u0000`) || text[0] != '\\' || text[1] != 'u' {
		return 0, false
	}
	unit, err := strconv.ParseUint(string(text[2:6]), 16, 16)
	return rune(unit), err == nil
}
