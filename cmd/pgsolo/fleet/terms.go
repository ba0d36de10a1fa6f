package fleet

import "fmt"

// terms knows which term is the highest that has called, and which leaders were to be killed.
type terms struct {
	highest int64
	killed  map[int64]bool
	open    map[int64]int // calls being answered
}

// begin takes in a call, and returns an error for each reason for which it overlaps another term.
func (t *terms) begin(term int64, countOpen bool) (overlaps []error) {
	if term < t.highest && !t.killed[term] {
		overlaps = append(overlaps, fmt.Errorf("term %d works while term %d has begun", term, t.highest))
	}
	for older, n := range t.open {
		if countOpen && older < term && n > 0 && !t.killed[older] {
			overlaps = append(overlaps, fmt.Errorf("term %d begins while term %d works", term, older))
		}
	}
	t.highest = max(t.highest, term)
	t.open[term]++
	return overlaps
}
