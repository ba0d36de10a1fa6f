package fleet

import (
	"time"
)

// Tally is what has arrived at a witness.
type Tally struct {
	Events   map[int64]int       // arrivals, by the event's id
	Attempts map[Attempt]Started // of ticks
	FirstOf  map[int64]time.Time // when the first event of a term arrived
	Overlaps int                 // calls of a term that was over
}

// Started is how an attempt arrived.
type Started struct {
	Terms   []int64 // of each arrival; a second one is too many
	CatchUp bool    // as the latest arrival has it
}

func newTally() Tally {
	return Tally{Events: map[int64]int{}, Attempts: map[Attempt]Started{}, FirstOf: map[int64]time.Time{}}
}

// Starts are the arrivals of each tick, whatever its job and attempt, by its scheduled time.
func (t Tally) Starts() map[time.Time]int {
	starts := map[time.Time]int{}
	for attempt, s := range t.Attempts {
		starts[attempt.At] += len(s.Terms)
	}
	return starts
}

func (t *Tally) add(c Call) {
	if c.Event == 0 {
		s := t.Attempts[c.attempt()]
		s.Terms, s.CatchUp = append(s.Terms, c.Term), c.CatchUp
		t.Attempts[c.attempt()] = s
		return
	}
	t.Events[c.Event]++
	if _, ok := t.FirstOf[c.Term]; !ok {
		t.FirstOf[c.Term] = c.At
	}
}
