package schedule

import (
	"errors"
	"testing"
	"time"
)

// FuzzParse: never a panic; what is refused has a place; what is accepted fires, in order, wherever its clock
// stands.
func FuzzParse(f *testing.F) {
	for _, expr := range []string{
		"*/5 * * * *", "0 0 29 2 *", "0 0 31 2 *", "TZ=UTC", "CRON_TZ=", "@every -1h", "@every 1s", "@",
		"0 9 * * fri-sun",
		"? ? ? ? ?", "1-2/3 * * * * 7", "0,30 2 * * *", "* * * * 7/2", "@daily", "@every 8784h", "30 1-3 * * *",
		"1,,2 */ * 5- -",
		"0 9 * * \u017fun", "\u00a0* * * * *", "* * 0-23 * * *", "59 59 23 31 12 *",
	} {
		f.Add(expr, int64(1_774_000_000), uint8(0))
		f.Add(expr, int64(2_493_000_000), uint8(1)) // the end of 2048
	}
	var zones []*time.Location
	for _, name := range []string{
		"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo", "Europe/Dublin",
		"Antarctica/Troll",
		"Africa/Casablanca", "Africa/Monrovia", "America/Juneau", "America/Caracas", "Asia/Kathmandu",
		"Pacific/Kwajalein",
	} {
		zones = append(zones, location(f, name))
	}
	f.Fuzz(func(t *testing.T, expr string, unix int64, zone uint8) {
		schedule, err := Parse(expr, zones[int(zone)%len(zones)])
		if err != nil {
			var wrong *Error
			if !errors.As(err, &wrong) || wrong.Expression != expr || wrong.Problem == "" {
				t.Fatalf("%q: %v", expr, err)
			}
			if wrong.Start < 0 || wrong.End > len(expr) || wrong.Start >= wrong.End && expr != "" {
				t.Fatalf("%q: from %d to %d: %s", expr, wrong.Start, wrong.End, wrong.Problem)
			}
			return
		}
		both := Set{schedule, mustParse(t, "30 1 * * *", schedule.location)}
		at := time.Unix(unix%(1<<33), unix%1_000_000_000) // from 1697 to 2242
		if unix < 0 {
			at = time.Unix(unix%(1<<33), 0)
		}
		for range 5 {
			next := schedule.Next(at)
			if !next.After(at) || next.Sub(at) > 9*366*24*time.Hour || next.Nanosecond() != 0 {
				t.Fatalf("%q: after %s comes %s", expr, at, next)
			}
			if again := schedule.Next(next.Add(-1)); !again.Equal(next) {
				t.Fatalf("%q: just before %s comes %s", expr, next, again)
			}
			if got := schedule.latest(at, next); !got.Equal(next) {
				t.Fatalf("%q: latest from %s to %s is %s", expr, at, next, got)
			}
			if _, moved := schedule.Moved(next); moved && schedule.everyHour {
				t.Fatalf("%q: %s is moved, though the hours are a wildcard", expr, next)
			}
			if _, moved := schedule.Moved(next.Add(-1)); moved {
				t.Fatalf("%q: %s is moved, but no time", expr, next.Add(-1))
			}
			if first := both.Next(at); !first.After(at) || first.After(next) {
				t.Fatalf("%q or at 01:30: after %s comes %s, and %s", expr, at, first, next)
			}
			at = next
		}
	})
}
