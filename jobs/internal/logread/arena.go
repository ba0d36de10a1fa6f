package logread

import (
	"strings"
)

const (
	minChunk = 512
	maxChunk = 64 << 10
)

// Arena keeps the many small values of a page, or of a worker, in few pieces of memory. Its values live as long as one
// of their piece is referenced.
type Arena struct {
	chunk    []byte
	text     strings.Builder
	size     int // of the latest chunk
	textSize int // of the latest text
}

// Bytes returns a copy. Its capacity ends with it, so that appending to it never overwrites the next one.
func (a *Arena) Bytes(value []byte) []byte {
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
func (a *Arena) string(value []byte) string {
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
