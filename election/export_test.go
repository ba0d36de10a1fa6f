package election

import (
	"sync/atomic"
	"time"

	"github.com/pgsolo/pgsolo/election/internal/trust"
)

// Clocks are those of the system, which a test sets. The machine was suspended for Boot, which the monotonic clock does
// not show.
type Clocks struct{ Wall, Boot atomic.Int64 } // nanoseconds

// Step sets them, once what was read of them before is believed no more.
func (c *Clocks) Step(wall, boot time.Duration) {
	for last := time.Now(); time.Since(last) <= trust.AgreedFor; {
	}
	c.Wall.Add(int64(wall))
	c.Boot.Add(int64(boot))
}

// Use makes an elector that does not run yet go by these clocks.
func (c *Clocks) Use(e *Elector) {
	system := e.clock.Now
	e.clock.Now = func() trust.Moment {
		now := system()
		now.Wall += time.Duration(c.Wall.Load())
		now.Boot += time.Duration(c.Boot.Load())
		return now
	}
}
