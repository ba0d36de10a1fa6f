package schedule

import (
	"testing"
	"time"
	_ "time/tzdata"

	"github.com/google/go-cmp/cmp"
)

func location(t testing.TB, name string) *time.Location {
	t.Helper()
	loc, err := time.LoadLocation(name)
	if err != nil {
		t.Fatal(err)
	}
	return loc
}

func mustParse(t testing.TB, expr string, loc *time.Location) Schedule {
	t.Helper()
	s, err := Parse(expr, loc)
	if err != nil {
		t.Fatalf("parse %q: %v", expr, err)
	}
	return s
}

// times returns the next n times after from, with their offset.
func times(s Schedule, from time.Time, n int) (got []string) {
	for range n {
		from = s.Next(from)
		got = append(got, from.Format("2006-01-02 15:04:05 -0700"))
	}
	return got
}

func TestScheduleNext(t *testing.T) {
	for _, test := range []struct {
		expr, from string
		want       []string
	}{
		{"*/5 * * * *", "2026-03-01 10:01:30", []string{"2026-03-01 10:05:00 +0000", "2026-03-01 10:10:00 +0000"}},
		{"30 0 12 * * *", "2026-03-01 12:00:30", []string{"2026-03-02 12:00:30 +0000"}},
		{"0 9 * * mon-fri", "2026-03-06 10:00:00", []string{"2026-03-09 09:00:00 +0000", "2026-03-10 09:00:00 +0000"}},
		{"0 9 * * 7", "2026-03-06 10:00:00", []string{"2026-03-08 09:00:00 +0000", "2026-03-15 09:00:00 +0000"}},
		{"0 9 * * 5-7", "2026-03-06 10:00:00",
			[]string{"2026-03-07 09:00:00 +0000", "2026-03-08 09:00:00 +0000", "2026-03-13 09:00:00 +0000"}},
		{"0 9 * * Fri-Sun", "2026-03-06 10:00:00",
			[]string{"2026-03-07 09:00:00 +0000", "2026-03-08 09:00:00 +0000", "2026-03-13 09:00:00 +0000"}},
		{"0 9 * * 1-7/3", "2026-03-06 10:00:00",
			[]string{"2026-03-08 09:00:00 +0000", "2026-03-09 09:00:00 +0000", "2026-03-12 09:00:00 +0000"}},
		// either day
		{"0 0 13 * fri", "2026-03-06 10:00:00", []string{"2026-03-13 00:00:00 +0000", "2026-03-20 00:00:00 +0000"}},
		{"0 0 ? * 1", "2026-03-06 10:00:00", []string{"2026-03-09 00:00:00 +0000"}},
		{"0 0 */1 * 1", "2026-03-06 10:00:00", []string{"2026-03-09 00:00:00 +0000"}},
		{"10/20 3 * jan,Dec *", "2026-03-06 10:00:00",
			[]string{"2026-12-01 03:10:00 +0000", "2026-12-01 03:30:00 +0000", "2026-12-01 03:50:00 +0000"}},
		// eight years
		{"0 0 29 2 *", "2096-03-01 00:00:00", []string{"2104-02-29 00:00:00 +0000"}},
		// by the weekday
		{"0 0 31 2 mon", "2026-03-06 10:00:00", []string{"2027-02-01 00:00:00 +0000", "2027-02-08 00:00:00 +0000"}},
		{"@hourly", "2026-03-06 10:00:00", []string{"2026-03-06 11:00:00 +0000"}},
		{"@daily", "2026-03-06 10:00:00", []string{"2026-03-07 00:00:00 +0000"}},
		{"@midnight", "2026-03-06 10:00:00", []string{"2026-03-07 00:00:00 +0000"}},
		{"@weekly", "2026-03-06 10:00:00", []string{"2026-03-08 00:00:00 +0000"}},
		{"@monthly", "2026-03-06 10:00:00", []string{"2026-04-01 00:00:00 +0000"}},
		{"@yearly", "2026-03-06 10:00:00", []string{"2027-01-01 00:00:00 +0000"}},
		{"@annually", "2026-03-06 10:00:00", []string{"2027-01-01 00:00:00 +0000"}},
		{"@every 1m30s", "2026-03-06 10:00:07", []string{"2026-03-06 10:01:30 +0000", "2026-03-06 10:03:00 +0000"}},
	} {
		t.Run(test.expr, func(t *testing.T) {
			from, err := time.Parse(time.DateTime, test.from)
			if err != nil {
				t.Fatal(err)
			}
			got := times(mustParse(t, test.expr, nil), from, len(test.want))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// asTime reads a date and time in UTC, and "" as zero.
func asTime(t testing.TB, text string) (at time.Time) {
	t.Helper()
	if text == "" {
		return at
	}
	at, err := time.Parse(time.DateTime, text)
	if err != nil {
		t.Fatal(err)
	}
	return at
}

func TestScheduleLatest(t *testing.T) {
	for _, test := range []struct{ expr, after, until, want string }{
		{"@every 5s", "2026-01-01 00:00:02", "2026-01-15 00:00:03", "2026-01-15 00:00:00"}, // two weeks
		{"@every 5s", "2026-01-01 00:00:02", "2026-01-01 00:00:05", "2026-01-01 00:00:05"},
		{"@every 5s", "2026-01-01 00:00:05", "2026-01-01 00:00:09", ""},
		{"@every 2h", "2026-01-01 00:30:00", "2026-01-01 23:00:00", "2026-01-01 22:00:00"},
		{"* * * * * *", "2026-01-01 00:00:00", "2027-01-01 00:00:00", "2027-01-01 00:00:00"},
		{"* * 3 * * *", "2026-01-01 00:00:00", "2026-06-01 02:00:00", "2026-05-31 03:59:59"},
		{"0 9 * * mon", "2026-01-01 00:00:00", "2026-06-07 00:00:00", "2026-06-01 09:00:00"},
		{"0 9 * * mon", "2026-06-01 09:00:00", "2026-06-07 00:00:00", ""},
		{"0 9 * * mon", "2026-06-07 00:00:00", "2026-06-01 00:00:00", ""},
		{"0 0 29 2 *", "2020-03-01 00:00:00", "2027-01-01 00:00:00", "2024-02-29 00:00:00"},
	} {
		t.Run(test.expr+" until "+test.until, func(t *testing.T) {
			got := mustParse(t, test.expr, nil).latest(asTime(t, test.after), asTime(t, test.until))
			if want := asTime(t, test.want); !got.Equal(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

func TestScheduleLatestNeedsFewSteps(t *testing.T) {
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	// the last has its times at the beginning
	for _, expr := range []string{"@every 5s", "* * * * * *", "* * 3 1 1 *"} {
		schedule, steps := mustParse(t, expr, nil), 0
		latestOf(func(t time.Time) time.Time { steps++; return schedule.Next(t) }, from, from.AddDate(0, 0, 14))
		if steps > 100 {
			t.Errorf("%s: %d steps", expr, steps)
		}
	}
}

// The times of @every are the same from whichever instant they are asked for.
func TestScheduleEvery(t *testing.T) {
	for _, test := range []struct{ expr, after, want string }{
		{"@every 90s", "1970-01-01 00:00:00", "1970-01-01 00:01:30"},
		{"@every 90s", "1970-01-01 00:01:29", "1970-01-01 00:01:30"},
		{"@every 90s", "1969-12-31 23:59:59", "1970-01-01 00:00:00"},
		{"@every 90s", "1969-12-31 23:58:30", "1970-01-01 00:00:00"},
		{"@every 7h", "2026-03-29 00:00:00", "2026-03-29 05:00:00"},   // 70,427 times 7 h after 1970
		{"@every 168h", "2026-03-29 00:00:00", "2026-04-02 00:00:00"}, // 1970 began on a Thursday
		{"@EVERY 8784h", "1970-01-01 00:00:00", "1971-01-02 00:00:00"},
	} {
		t.Run(test.expr+" after "+test.after, func(t *testing.T) {
			schedule := mustParse(t, test.expr, location(t, "Europe/Berlin"))
			for _, later := range []time.Duration{0, 1, time.Second - 1} {
				got := schedule.Next(asTime(t, test.after).Add(later))
				if want := asTime(t, test.want); !got.Equal(want) || got.Location().String() != "Europe/Berlin" {
					t.Errorf("%s later: got %s, want %s", later, got, want)
				}
			}
		})
	}
}

// A monotonic reading that went through would hide that the clock was set.
func TestScheduleNextHasNoMonotonicReading(t *testing.T) {
	for _, expr := range []string{"@every 1s", "* * * * * *", "* * 0-23 * * *"} {
		if next := mustParse(t, expr, nil).Next(time.Now()); next != next.Round(0) {
			t.Errorf("%s: %s", expr, next)
		}
	}
}

func TestScheduleZeroHasNoTimes(t *testing.T) {
	now := time.Now()
	if next := (Schedule{}).Next(now); !next.IsZero() {
		t.Errorf("next %s", next)
	}
	if latest := (Schedule{}).latest(now, now.Add(time.Hour)); !latest.IsZero() {
		t.Errorf("latest %s", latest)
	}
	if _, moved := (Schedule{}).Moved(now); moved {
		t.Error("moved")
	}
}

// The time for a Next is no check, since machines differ.
func BenchmarkScheduleNext(b *testing.B) {
	for _, expr := range []string{"* * * * * *", "*/5 * * * *", "30 2 * * *", "0 9 * * mon-fri", "0 0 29 2 *",
		"@every 5s"} {
		b.Run(expr, func(b *testing.B) {
			schedule := mustParse(b, expr, location(b, "Europe/Berlin"))
			from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
			at := from
			for b.Loop() {
				if at = schedule.Next(at); at.Year() > 2036 {
					at = from
				}
			}
		})
	}
}
