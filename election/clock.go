package election

import "time"

// moment is one moment by three clocks, each counted from a start of its own. The monotonic one says how much time has
// passed for this process, as long as the machine runs. The others tell that it did not: the boot clock goes on while
// the machine is suspended, and the wall clock is set right afterwards.
type moment struct{ mono, wall, boot time.Duration }

// clock tells the time. Tests replace it.
type clock struct {
	now  func() moment
	mono func() time.Duration // of now, alone, which takes a tenth of the time
}

var systemClock = clock{now: systemNow, mono: func() time.Duration { return time.Since(epoch) }}

// The monotonic clock counts from here.
var epoch = time.Now()

// systemNow reads the clocks of the system. Where that has no boot clock, boot is the monotonic one.
func systemNow() moment {
	boot, known := sinceBoot()
	now := time.Now()
	m := moment{mono: now.Sub(epoch), wall: time.Duration(now.UnixNano()), boot: boot}
	if !known {
		m.boot = m.mono
	}
	return m
}

// elapsed is how much time passed from one moment to the next, what the machine was suspended for included. A step of
// the wall clock is not time.
func (m moment) elapsed(to moment) time.Duration { return max(to.mono-m.mono, to.boot-m.boot) }

// agrees says whether the clocks show the same time from one moment to the next, give or take some.
func (m moment) agrees(with moment, tolerance time.Duration) bool {
	mono := with.mono - m.mono
	return (with.boot-m.boot-mono).Abs() <= tolerance && (with.wall-m.wall-mono).Abs() <= tolerance
}
