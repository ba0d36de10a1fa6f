package jobs

import (
	"encoding/json"
	"fmt"
	"sort"
	"strings"
	"time"
)

// record is one row of the log, or one delivery that is to be retried. Those of a page may be in the hands of several handlers
// at once: nobody writes to one. What differs between handlers is added when it is handed out.
type record struct {
	id        int64
	createdAt int64 // Unix time in microseconds
	topic     string
	key       string
	payload   []byte
	headers   []byte // JSON; nil where there are none
}

// event makes the event of a record, but for the handler's own fields. Each delivery gets headers of its own.
func (r *record) event() (Event, error) {
	headers, err := decodeHeaders(r.headers)
	return Event{
		ID: r.id, Topic: r.topic, Key: r.key, Headers: headers, Payload: r.payload, CreatedAt: time.UnixMicro(r.createdAt),
	}, err
}

// decodeHeaders keeps strings as they are and everything else as its JSON.
func decodeHeaders(text []byte) (map[string]string, error) {
	if len(text) <= len("{}") {
		return nil, nil
	}
	var raw map[string]json.RawMessage
	if err := json.Unmarshal(text, &raw); err != nil {
		return nil, fmt.Errorf("decode headers: %w", err)
	}
	headers := make(map[string]string, len(raw))
	for name, value := range raw {
		var s string
		if json.Unmarshal(value, &s) != nil {
			s = string(value)
		}
		headers[name] = s
	}
	return headers, nil
}

// page is the outcome of one read. It does not change once the read is done.
type page struct {
	after int64 // a read of new rows: it asked for those above this id
	rung  int64 // and began after this many rings

	records []record // those of the topic that may be handled now, ascending
	later   []later  // those of the topic whose deliver_at lies ahead
	present ranges   // the ids of all rows found: only then is a missing id a hole
	foreign ranges   // those of other topics
	rows    int
	bytes   int
	cutOff  bool  // there may be more
	xmin    int64 // of the snapshot, for a read of holes
}

// later is an event that is not to be handled before due.
type later struct {
	id   int64
	due  time.Time
	size int // of the payload
}

// highest is the id up to which the page tells what there is.
func (p *page) highest() int64 {
	return max(p.after, p.present.highest())
}

// above returns the part of the page above id.
func (p *page) above(id int64) page {
	if id <= p.after {
		return *p
	}
	part := *p
	part.after = id
	part.records = p.records[sort.Search(len(p.records), func(i int) bool { return p.records[i].id > id }):]
	part.later = p.later[sort.Search(len(p.later), func(i int) bool { return p.later[i].id > id }):]
	part.present, part.foreign = p.present.above(id), p.foreign.above(id)
	part.rows = part.present.size()
	return part
}

const (
	minChunk = 512
	maxChunk = 64 << 10
)

// arena keeps the many small values of a page, or of a worker, in few pieces of memory. Its values live as long as anybody holds
// one of their piece.
type arena struct {
	chunk    []byte
	text     strings.Builder
	size     int // of the latest chunk
	textSize int // of the latest text
}

// bytes returns a copy. Its capacity ends with it, so that appending to it never overwrites the next one.
func (a *arena) bytes(value []byte) []byte {
	n := len(value)
	if n > maxChunk/4 {
		return append(make([]byte, 0, n), value...)
	}
	if cap(a.chunk)-len(a.chunk) < n {
		a.size = min(max(minChunk, 2*a.size, n), maxChunk)
		a.chunk = make([]byte, 0, a.size)
	}
	start := len(a.chunk)
	a.chunk = append(a.chunk, value...)
	return a.chunk[start:len(a.chunk):len(a.chunk)]
}

// string returns a copy as a string. What a strings.Builder has given out it never changes.
func (a *arena) string(value []byte) string {
	n := len(value)
	if n > maxChunk/4 {
		return string(value)
	}
	if a.text.Cap()-a.text.Len() < n {
		a.textSize = min(max(minChunk, 2*a.textSize, n), maxChunk)
		a.text = strings.Builder{}
		a.text.Grow(a.textSize)
	}
	start := a.text.Len()
	a.text.Write(value)
	return a.text.String()[start:]
}
