package election_test

import (
	"context"
	"fmt"
	"io"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/election"
)

// mark is one line that a leader has appended to the witness file: "I work, in this term". The file depends on neither
// PostgreSQL nor the elector. Its order is the order of the writes of all processes, so that no clock has to be
// trusted.
type mark struct {
	at     time.Time
	term   int64
	holder string
	kind   string // one of those below
}

const (
	begins    = "begins"    // the first of its term
	works     = "works"     // every few milliseconds
	cancelled = "cancelled" // its context has ended, and it works on: the replica was told to
	ends      = "ends"      // the last of its term
)

// markInterval is how often a leader makes a mark.
const markInterval = 5 * time.Millisecond

// marker is what a leader makes its marks with.
type marker struct {
	file    *os.File
	holder  string
	term    election.Term
	askHeld bool // only while Term.Held
}

// mark appends a line in one write, which no other process's can divide. Where it asks Term.Held, it does so right
// before.
func (m *marker) mark(kind string) {
	line := fmt.Appendf(nil, "%d %d %s %s\n", time.Now().UnixNano(), m.term.Number, m.holder, kind)
	if m.askHeld && !m.term.Held() {
		return
	}
	if _, err := m.file.Write(line); err != nil {
		panic(err)
	}
}

// work makes marks from the second on until the context ends, or the leader should hand over, and then for as long as
// it ignores that.
func (m *marker) work(ctx context.Context, ignore time.Duration) {
	ticker := time.NewTicker(markInterval)
	defer ticker.Stop()
	for ; ctx.Err() == nil; m.mark(works) {
		select {
		case <-ticker.C:
			continue
		case <-m.term.Stopping:
		case <-ctx.Done():
		}
		break
	}
	if ignore > 0 {
		m.mark(cancelled)
		for over := time.After(ignore); ; m.mark(works) {
			select {
			case <-ticker.C:
				continue
			case <-over:
			}
			break
		}
	}
	m.mark(ends)
}

// marks returns all marks up to now. It reads what is new: there are thousands, and a wait reads again and again.
func (c *cluster) marks() []mark {
	c.t.Helper()
	file, err := os.Open(c.config.Witness)
	if err != nil {
		c.t.Fatal(err)
	}
	defer file.Close()
	text, err := io.ReadAll(io.NewSectionReader(file, c.marksRead, math.MaxInt64-c.marksRead))
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if !strings.HasSuffix(line, "\n") {
			break // it is being written
		}
		c.marksRead += int64(len(line))
		fields := strings.Fields(line)
		if len(fields) != 4 {
			c.t.Fatalf("a mark is %q", line)
		}
		nano, _ := strconv.ParseInt(fields[0], 10, 64)
		term, _ := strconv.ParseInt(fields[1], 10, 64)
		c.marksSeen = append(c.marksSeen, mark{at: time.Unix(0, nano), term: term, holder: fields[2], kind: fields[3]})
	}
	return c.marksSeen
}

// overlaps tells which marks show two leaders at work, or a term that is not one leadership.
func overlaps(all []mark) (found []string) {
	var last mark
	for _, m := range all {
		switch {
		case m.term < last.term:
			found = append(found, fmt.Sprintf("%s %s in term %d after term %d of %s has begun", m.holder, m.kind,
				m.term, last.term, last.holder))
			continue
		case m.term > last.term && m.kind != begins:
			found = append(found, fmt.Sprintf("%s %s in term %d, which has not begun", m.holder, m.kind, m.term))
		case m.term == last.term && m.holder != last.holder:
			found = append(found, fmt.Sprintf("%s and %s are both in term %d", last.holder, m.holder, m.term))
		case m.term == last.term && (m.kind == begins || last.kind == ends):
			found = append(found, fmt.Sprintf("%s %s in term %d after it %s", m.holder, m.kind, m.term, last.kind))
		}
		last = m
	}
	return found
}

func TestOverlapsAreFound(t *testing.T) {
	for name, test := range map[string]struct {
		marks string // term, holder and kind of each
		want  []string
	}{
		"none":    {"1a+ 1a. 1a- 2b+ 2b. 4a+", nil},
		"late":    {"1a+ 2b+ 1a. 2b.", []string{"a works in term 1 after term 2 of b has begun"}},
		"the end": {"1a+ 2b+ 2b. 1a-", []string{"a ends in term 1 after term 2 of b has begun"}},
		"again":   {"1a+ 1a- 1a.", []string{"a works in term 1 after it ends"}},
		"shared":  {"1a+ 1b+", []string{"a and b are both in term 1"}},
		"unborn":  {"1a+ 2b.", []string{"b works in term 2, which has not begun"}},
	} {
		var all []mark
		for field := range strings.FieldsSeq(test.marks) {
			kind := map[byte]string{'+': begins, '.': works, '-': ends}[field[2]]
			all = append(all, mark{term: int64(field[0] - '0'), holder: field[1:2], kind: kind})
		}
		if diff := cmp.Diff(test.want, overlaps(all)); diff != "" {
			t.Errorf("%s: %s", name, diff)
		}
	}
}
