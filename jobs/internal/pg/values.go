package pg

import (
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
