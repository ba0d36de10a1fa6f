package election

import (
	"sync"
	"time"

	"github.com/pgsolo/pgsolo/election/internal/trust"
)

// Role is what a process is in an election.
type Role string

// The roles.
const (
	Outside Role = "outside" // not running, without the database, or while another application holds the lock
	Standby Role = "standby" // queues for the lock
	Leader  Role = "leader"  // holds it
)

// ClockTolerance is how far a leader's clock may be from the database's before that is said.
const ClockTolerance = trust.ClockTolerance

// Status is a snapshot of an elector.
type Status struct {
	Election string
	Role     Role

	// Term, Holder, Address and Since are the leader row as last read: of the present leader, or the last one.
	Term    Term // without Session, Stopping, Over and Held
	Holder  string
	Address string
	Since   time.Time

	Fingerprint string // Options.Fingerprint of that leader; empty: it has none, or is of the version before

	// ClockAhead is by how much this machine's clock is ahead of the database's, as of the latest ping, beyond what its
	// round trip explains; negative: behind. Zero while this process does not lead. More than ClockTolerance is logged.
	ClockAhead time.Duration

	// Denied says which session of another application holds the lock, so that nobody can lead, and what to do; empty:
	// none.
	Denied string

	SeenAt     time.Time // when the database last answered; zero: not yet
	AliveUntil time.Time // by when the loop updates this again unless it hangs; zero: not running
}

// statusBoard is the status that the loop writes and other goroutines read.
type statusBoard struct {
	mu     sync.Mutex // guards status
	status Status
}

func (b *statusBoard) read() Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.status
}

func (b *statusBoard) update(change func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	change(&b.status)
}

// busyFor says that the loop is about to do something that takes at most d.
func (b *statusBoard) busyFor(d time.Duration) {
	b.update(func(s *Status) { s.AliveUntil = time.Now().Add(d) })
}

// answered says that the database has just answered with this leader row.
func (b *statusBoard) answered(role Role, row leaderRow) {
	b.update(func(s *Status) {
		s.Role, s.SeenAt, s.Denied = role, time.Now(), ""
		s.Term, s.Holder, s.Address, s.Since = row.term, row.term.Holder, row.address, row.since
		s.Fingerprint = row.fingerprint
		if role != Leader {
			s.ClockAhead = 0
		}
	})
}
