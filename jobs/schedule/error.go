package schedule

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// Error says what is wrong with a schedule's expression, and where.
type Error struct {
	Expression string // as it was given

	// Start and End are the bytes of Expression that are wrong, without the one at End. It is at least one, unless
	// Expression is empty.
	Start, End int

	Problem string // what is wrong there, and what would be right
}

func (e *Error) Error() string { return fmt.Sprintf("%q: %s", e.Expression, e.Problem) }

// expression is the text that Parse reads, as it was given.
type expression string

// word is a part of an expression: its bytes from start to end, with the letters of ASCII in lower case.
type word struct {
	text       string
	start, end int
}

// words splits at white space. Letters beyond ASCII stay as they are, since lower case may have another length, or look
// like ASCII.
func (e expression) words() (words []word) {
	start := -1
	add := func(end int) {
		if start >= 0 {
			words = append(words, word{lower(string(e[start:end])), start, end})
			start = -1
		}
	}
	for i, r := range string(e) {
		switch {
		case unicode.IsSpace(r):
			add(i)
		case start < 0:
			start = i
		}
	}
	add(len(e))
	return words
}

func lower(text string) string {
	letters := []byte(text)
	for i, c := range letters {
		if 'A' <= c && c <= 'Z' {
			letters[i] += 'a' - 'A'
		}
	}
	return string(letters)
}

// part returns the bytes of w from one to another.
func (w word) part(from, to int) word { return word{w.text[from:to], w.start + from, w.start + to} }

// split returns what stands between the separators.
func (w word) split(separator byte) (parts []word) {
	from := 0
	for i := range w.text {
		if w.text[i] == separator {
			parts = append(parts, w.part(from, i))
			from = i + 1
		}
	}
	return append(parts, w.part(from, len(w.text)))
}

// cut is strings.Cut, except that it returns the whole for a half that is empty, so that there is something to point
// at. The separator in it tells it from a value.
func (w word) cut(separator string) (before, after word, found bool) {
	i := strings.Index(w.text, separator)
	if i < 0 {
		return w, word{}, false
	}
	before, after = w.part(0, i), w.part(i+1, len(w.text))
	if before.text == "" {
		before = w
	}
	if after.text == "" {
		after = w
	}
	return before, after, true
}

// through returns the place from a word to the end of a later one.
func (w word) through(last word) word { return word{start: w.start, end: last.end} }

// refuse makes the error for a place.
func (e expression) refuse(place word, format string, args ...any) error {
	return &Error{Expression: string(e), Start: place.start, End: place.end, Problem: fmt.Sprintf(format, args...)}
}

// quote returns what is written in a place, for an error: as it is where that is short and can be seen.
func (e expression) quote(place word) string {
	const longest = 40
	text := string(e[place.start:place.end])
	if len(text) > longest {
		return strconv.Quote(text[:longest]) + "..."
	}
	if strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return strconv.Quote(text)
	}
	return text
}
