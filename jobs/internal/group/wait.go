package group

import "time"

const (
	// PollHeld is how often one that is held back asks whether it may go on.
	PollHeld = time.Second

	// goneAfter is how long a leader's lock has to be absent for its group to be gone. In a failover it is absent for
	// some milliseconds; a leader whose session broke has a new one within a second.
	goneAfter = 3 * time.Second

	// HeldRemedy is what to do where two applications use one name.
	HeldRemedy = "give it another name, or give each application a schema of its own"
)

// Wait is that of one handler or job for the leader of another group. The zero value has just begun.
type Wait struct {
	asked  bool
	absent time.Time // since when no leader lives; zero: one did
}

// IsGone says whether the group is gone, of whose leader that was found now. At first one that has stopped as planned
// is: an election that was renamed goes on at once.
func (w *Wait) IsGone(o Owner, now time.Time) bool {
	first := !w.asked
	w.asked = true
	switch {
	case o.Lives:
		w.absent = time.Time{}
		return false
	case first && o.Left:
		return true
	case w.absent.IsZero():
		w.absent = now
	}
	return now.Sub(w.absent) >= goneAfter
}
