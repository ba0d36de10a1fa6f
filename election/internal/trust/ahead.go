package trust

import (
	"time"

	"github.com/hashicorp/go-hclog"
)

// ClockTolerance is how far a leader's clock may be from the database's before that is said. Where both are kept by NTP
// they differ by milliseconds.
const ClockTolerance = 2 * time.Second

// Ahead is by how much the wall clock of this machine, at the moment sent, was ahead of the server's, which has shown
// server within one round trip since. Where that explains the difference, it is zero.
func Ahead(server time.Time, sent Moment, roundTrip time.Duration) time.Duration {
	wall := time.Unix(0, int64(sent.Wall))
	return max(0, wall.Sub(server)) + min(0, wall.Add(roundTrip).Sub(server))
}

// Difference is between the clocks, as far as it was logged. The zero value is none. No lease depends on wall clocks;
// but cron jobs follow that of this machine.
type Difference struct{ said bool }

// Log says that the clocks differ, and that they agree again.
func (d *Difference) Log(logger hclog.Logger, ahead time.Duration) {
	off := ahead.Abs() > ClockTolerance
	if off == d.said {
		return
	}
	if d.said = off; off {
		logger.Warn("this machine's clock differs from the database's, and cron jobs follow it: set the clocks right",
			"ahead_by", ahead.Round(time.Millisecond))
	} else {
		logger.Info("this machine's clock agrees with the database's again")
	}
}
