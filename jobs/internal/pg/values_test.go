package pg

import (
	"math"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Every server takes every duration as an interval, to the microsecond.
func TestIntervalIsExact(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	for _, d := range []time.Duration{
		0, time.Microsecond, time.Second - time.Microsecond, 36 * time.Minute, 24 * time.Hour, 24*time.Hour + 1001,
		70 * 365 * 24 * time.Hour, math.MaxInt64, -time.Millisecond, -25 * time.Hour, math.MinInt64,
	} {
		const micros = `select (extract(epoch from $1::text::interval) * 1000000)::bigint`
		got := pgtest.Value[int64](t, conn, micros, Interval(d))
		if got != d.Microseconds() {
			t.Errorf("%s became %d microseconds", d, got)
		}
	}
}
