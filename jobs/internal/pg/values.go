package pg

import (
	"fmt"
	"math"
	"time"
)

// TextOrNull returns a parameter that is null for the empty string.
func TextOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// TimeOrNull returns a parameter that is null for the zero time.
func TimeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// OrZero returns the time of a column, or the zero time for null.
func OrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

// Seconds returns a number of seconds from PostgreSQL as a duration, rounded up to a microsecond, so that a wait of it
// does not end before the time.
func Seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(s*1e6)) * time.Microsecond
}

// Interval returns a duration, to the microsecond, as the text of an interval. Before PostgreSQL 15 no field of one may
// be above 2,147,483,647, which are less than 36 minutes in microseconds and 68 years in seconds.
func Interval(d time.Duration) string {
	const second = int64(time.Second)
	return fmt.Sprintf("%d hours %d seconds %d microseconds",
		int64(d/time.Hour), int64(d%time.Hour)/second, int64(d%time.Second)/1000)
}
