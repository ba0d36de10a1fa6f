package trust

import "time"

// Moment is one moment by three clocks, each counted from a start of its own. The monotonic one says how much time has
// passed for this process, as long as the machine runs. The others tell that it did not: the boot clock goes on while
// the machine is suspended, and the wall clock is set right afterwards.
type Moment struct{ Mono, Wall, Boot time.Duration }

// Clock tells the time. Tests replace it.
type Clock struct {
	Now  func() Moment
	Mono func() time.Duration // of Now, alone, which takes a tenth of the time
}

// System is the clock of the system. Where that has no boot clock, Boot is the monotonic one.
func System() Clock { return Clock{Now: now, Mono: func() time.Duration { return time.Since(epoch) }} }

// The monotonic clock counts from here.
var epoch = time.Now()

func now() Moment {
	boot, known := sinceBoot()
	now := time.Now()
	m := Moment{Mono: now.Sub(epoch), Wall: time.Duration(now.UnixNano()), Boot: boot}
	if !known {
		m.Boot = m.Mono
	}
	return m
}

// Elapsed is how much time passed from one moment to the next, what the machine was suspended for included. A step of
// the wall clock is not time.
func (m Moment) Elapsed(to Moment) time.Duration { return max(to.Mono-m.Mono, to.Boot-m.Boot) }

// agrees says whether the clocks show the same time from one moment to the next, give or take some.
func (m Moment) agrees(with Moment, tolerance time.Duration) bool {
	mono := with.Mono - m.Mono
	return (with.Boot-m.Boot-mono).Abs() <= tolerance && (with.Wall-m.Wall-mono).Abs() <= tolerance
}
