package trust

import (
	"time"

	"golang.org/x/sys/unix"
)

// sinceBoot reads the clock that goes on while the machine is suspended.
func sinceBoot() (_ time.Duration, known bool) {
	var t unix.Timespec
	if unix.ClockGettime(unix.CLOCK_BOOTTIME, &t) != nil {
		return 0, false
	}
	return time.Duration(t.Nano()), true
}
