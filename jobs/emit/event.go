package emit

import (
	"encoding/json"
	"time"
)

// Event is what a producer appends to the event log. Only Topic is required.
type Event struct {
	Topic   string
	Key     string            // what the event is about, for handlers with OrderKey; at most 1000 bytes; empty: none
	Payload []byte            // JSON; nil: null
	Headers map[string]string // nil: none

	DeliverAt time.Time // no handler gets it before, by the server's clock; zero: at once

	// DedupKey drops the event where one of the same topic and DedupKey was emitted before, and the DedupWindow given
	// then has not passed. At most 1000 bytes; empty: never dropped.
	DedupKey    string
	DedupWindow time.Duration // default 24 h, at most 30 days; only with a DedupKey
}

// payload is nil or a string. pgx would send bytes as bytea in the modes that do not ask the server for types.
func (e Event) payload() any {
	if e.Payload == nil {
		return nil
	}
	return string(e.Payload)
}

// headers is nil or a string of JSON, for the same reason.
func (e Event) headers() any {
	if len(e.Headers) == 0 {
		return nil
	}
	text, err := json.Marshal(e.Headers)
	if err != nil {
		panic(err) // cannot be: it has strings alone
	}
	return string(text)
}
