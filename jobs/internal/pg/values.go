package pg

import (
	"math"
	"time"
)

func OrZero(t *time.Time) time.Time {
	if t == nil {
		return time.Time{}
	}
	return *t
}

func TextOrNull(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

func TimeOrNull(t time.Time) *time.Time {
	if t.IsZero() {
		return nil
	}
	return &t
}

// Seconds turns PostgreSQL's seconds, rounded up so that nobody looks before the time.
func Seconds(s float64) time.Duration {
	return time.Duration(math.Ceil(s*1e6)) * time.Microsecond
}
