package election

import (
	"sync/atomic"
	"time"
)

// Clocks are those of the system, which a test sets. The machine was suspended for Boot, which the monotonic clock does
// not show.
type Clocks struct{ Wall, Boot atomic.Int64 } // nanoseconds

// Step sets them, once what was read of them before is believed no more.
func (c *Clocks) Step(wall, boot time.Duration) {
	for last := time.Now(); time.Since(last) <= agreedFor; {
	}
	c.Wall.Add(int64(wall))
	c.Boot.Add(int64(boot))
}

// Use makes an elector that does not run yet go by these clocks.
func (c *Clocks) Use(e *Elector) {
	e.clock.now = func() moment {
		now := systemNow()
		now.wall += time.Duration(c.Wall.Load())
		now.boot += time.Duration(c.Boot.Load())
		return now
	}
}
