package jobs

import (
	"strings"
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
	s, err := ParseSchedule(expr, loc)
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
		{"0 9 * * 5-7", "2026-03-06 10:00:00", []string{"2026-03-07 09:00:00 +0000", "2026-03-08 09:00:00 +0000", "2026-03-13 09:00:00 +0000"}},
		{"0 9 * * Fri-Sun", "2026-03-06 10:00:00", []string{"2026-03-07 09:00:00 +0000", "2026-03-08 09:00:00 +0000", "2026-03-13 09:00:00 +0000"}},
		{"0 9 * * 1-7/3", "2026-03-06 10:00:00", []string{"2026-03-08 09:00:00 +0000", "2026-03-09 09:00:00 +0000", "2026-03-12 09:00:00 +0000"}},
		{"0 0 13 * fri", "2026-03-06 10:00:00", []string{"2026-03-13 00:00:00 +0000", "2026-03-20 00:00:00 +0000"}}, // either day
		{"0 0 ? * 1", "2026-03-06 10:00:00", []string{"2026-03-09 00:00:00 +0000"}},
		{"0 0 */1 * 1", "2026-03-06 10:00:00", []string{"2026-03-09 00:00:00 +0000"}},
		{"10/20 3 * jan,Dec *", "2026-03-06 10:00:00", []string{"2026-12-01 03:10:00 +0000", "2026-12-01 03:30:00 +0000", "2026-12-01 03:50:00 +0000"}},
		{"0 0 29 2 *", "2096-03-01 00:00:00", []string{"2104-02-29 00:00:00 +0000"}}, // eight years
		{"@hourly", "2026-03-06 10:00:00", []string{"2026-03-06 11:00:00 +0000"}},
		{"@daily", "2026-03-06 10:00:00", []string{"2026-03-07 00:00:00 +0000"}},
		{"@midnight", "2026-03-06 10:00:00", []string{"2026-03-07 00:00:00 +0000"}},
		{"@weekly", "2026-03-06 10:00:00", []string{"2026-03-08 00:00:00 +0000"}},
		{"@monthly", "2026-03-06 10:00:00", []string{"2026-04-01 00:00:00 +0000"}},
		{"@yearly", "2026-03-06 10:00:00", []string{"2027-01-01 00:00:00 +0000"}},
		{"@annually", "2026-03-06 10:00:00", []string{"2027-01-01 00:00:00 +0000"}},
		{"@every 1m30s", "2026-03-06 10:00:07", []string{"2026-03-06 10:01:37 +0000", "2026-03-06 10:03:07 +0000"}},
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

// The expectations are written by hand from the dates on which these clocks were set.
func TestScheduleDaylightSaving(t *testing.T) {
	for _, test := range []struct {
		name, zone, expr, from string
		want                   []string
	}{
		{"in the gap", "America/New_York", "30 2 * * *", "2026-03-07T12:00:00-05:00",
			[]string{"2026-03-08 03:00:00 -0400", "2026-03-09 02:30:00 -0400"}},
		{"several in the gap run once", "America/New_York", "0,20,40 2,3 * * *", "2026-03-08T01:00:00-05:00",
			[]string{"2026-03-08 03:00:00 -0400", "2026-03-08 03:20:00 -0400"}},
		{"repeated runs once", "America/New_York", "30 1 * * *", "2026-10-31T12:00:00-04:00",
			[]string{"2026-11-01 01:30:00 -0400", "2026-11-02 01:30:00 -0500"}},
		{"asked within the repetition", "America/New_York", "30,45 1 * * *", "2026-11-01T01:35:00-05:00",
			[]string{"2026-11-02 01:30:00 -0500", "2026-11-02 01:45:00 -0500"}},
		{"wildcard hours over the gap", "America/New_York", "30 * * * *", "2026-03-08T00:45:00-05:00",
			[]string{"2026-03-08 01:30:00 -0500", "2026-03-08 03:30:00 -0400", "2026-03-08 04:30:00 -0400"}},
		{"wildcard hours over the repetition", "America/New_York", "0 * * * *", "2026-11-01T00:30:00-04:00",
			[]string{"2026-11-01 01:00:00 -0400", "2026-11-01 01:00:00 -0500", "2026-11-01 02:00:00 -0500"}},
		{"every other hour over the gap", "America/New_York", "0 */2 * * *", "2026-03-08T00:30:00-05:00",
			[]string{"2026-03-08 04:00:00 -0400", "2026-03-08 06:00:00 -0400"}},
		{"Berlin, gap", "Europe/Berlin", "15 2 * * *", "2026-03-28T12:00:00+01:00",
			[]string{"2026-03-29 03:00:00 +0200", "2026-03-30 02:15:00 +0200"}},
		{"Berlin, repeated", "Europe/Berlin", "15 2 * * *", "2026-10-24T12:00:00+02:00",
			[]string{"2026-10-25 02:15:00 +0200", "2026-10-26 02:15:00 +0100"}},
		{"the day begins in the gap", "America/Sao_Paulo", "@daily", "2018-11-03T12:00:00-03:00",
			[]string{"2018-11-04 01:00:00 -0200", "2018-11-05 00:00:00 -0200"}},
		{"the end of a day repeats", "America/Sao_Paulo", "30 23 * * *", "2018-02-17T12:00:00-02:00",
			[]string{"2018-02-17 23:30:00 -0200", "2018-02-18 23:30:00 -0300"}},
		{"a gap of half an hour", "Australia/Lord_Howe", "15 2 * * *", "2026-10-03T12:00:00+10:30",
			[]string{"2026-10-04 02:30:00 +1100", "2026-10-05 02:15:00 +1100"}},
		{"half an hour repeats", "Australia/Lord_Howe", "45 1 * * *", "2026-04-04T12:00:00+11:00",
			[]string{"2026-04-05 01:45:00 +1100", "2026-04-06 01:45:00 +1030"}},
		{"wildcard hours, half an hour repeats", "Australia/Lord_Howe", "0,45 * * * *", "2026-04-05T01:30:00+11:00",
			[]string{"2026-04-05 01:45:00 +1100", "2026-04-05 01:45:00 +1030", "2026-04-05 02:00:00 +1030"}},
		{"a skipped day", "Pacific/Apia", "0 12 * * *", "2011-12-29T11:00:00-10:00",
			[]string{"2011-12-29 12:00:00 -1000", "2011-12-31 00:00:00 +1400", "2011-12-31 12:00:00 +1400"}},
		{"wildcard hours, a skipped day", "Pacific/Apia", "30 * * * *", "2011-12-29T23:00:00-10:00",
			[]string{"2011-12-29 23:30:00 -1000", "2011-12-31 00:30:00 +1400"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			from, err := time.Parse(time.RFC3339, test.from)
			if err != nil {
				t.Fatal(err)
			}
			got := times(mustParse(t, test.expr, location(t, test.zone)), from, len(test.want))
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestParseScheduleRefuses(t *testing.T) {
	for _, test := range []struct{ expr, want string }{
		{"", "want 5 fields"},
		{" \t", "want 5 fields"},
		{"* * * *", "want 5 or 6 fields, got 4"},
		{"* * * * * * *", "want 5 or 6 fields, got 7"},
		{"TZ=UTC", "a time zone of its own"},
		{"TZ=UTC * * * * *", "a time zone of its own"},
		{"CRON_TZ=Europe/Berlin 0 3 * * *", "a time zone of its own"},
		{"@reboot", "another replica"},
		{"@fortnightly", `unknown descriptor "@fortnightly"`},
		{"@daily 5", `unknown descriptor "@daily 5"`},
		{"@every", "want for example @every 1h30m"},
		{"@every 1h 30m", "takes one duration, got 2"},
		{"@every day", "want a duration"},
		{"@every -1h", "want at least 1s"},
		{"@every 0s", "want at least 1s"},
		{"@every 999ms", "want at least 1s"},
		{"@every 1500ms", "want whole seconds"},
		{"60 * * * *", `minute "60": want 0 to 59`},
		{"* 24 * * *", `hour "24": want 0 to 23`},
		{"* * 0 * *", `day "0": want 1 to 31`},
		{"* * * 13 *", `month "13": want 1 to 12 or jan to dec`},
		{"* * * * 8", `weekday "8": want 0 to 6 or sun to sat`},
		{"60 * * * * *", `second "60": want 0 to 59`},
		{"5-1 * * * *", "ends before it begins"},
		{"* * * * 7-2", "ends before it begins"},
		{"*/0 * * * *", "step 0: want 1 to 59"},
		{"*/90 * * * *", "step 90: want 1 to 59"},
		{"*/99999999999999999999 * * * *", "want 1 to 59"},
		{"1,,2 * * * *", `minute "1,,2": want`},
		{", * * * *", `minute ",": want`},
		{"*-5 * * * *", `minute "*-5": want`},
		{"+5 * * * *", `minute "+5": want`},
		{"-5 * * * *", `minute "-5": want`},
		{"1-2-3 * * * *", `minute "1-2-3": want`},
		{"1/2/3 * * * *", `minute "1/2/3": want`},
		{"? * * * *", `minute "?": want`},
		{"* * * mars *", `month "mars": want 1 to 12`},
		{"0 0 31 2 *", "never fires"},
		{"0 0 30 feb *", "never fires"},
		{"0 0 31 4,6,9,11 *", "never fires"},
	} {
		t.Run(test.expr, func(t *testing.T) {
			_, err := ParseSchedule(test.expr, time.UTC)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got error %v, want it to say %q", err, test.want)
			}
		})
	}
}

func TestScheduleLatest(t *testing.T) {
	at := func(text string) time.Time {
		when, err := time.Parse(time.DateTime, text)
		if err != nil {
			t.Fatal(err)
		}
		return when
	}
	for _, test := range []struct{ expr, anchor, until, want string }{
		{"@every 5s", "2026-01-01 00:00:02", "2026-01-15 00:00:00", "2026-01-14 23:59:57"},
		{"@every 5s", "2026-01-01 00:00:02", "2026-01-01 00:00:07", "2026-01-01 00:00:07"},
		{"@every 5s", "2026-01-01 00:00:02", "2026-01-01 00:00:06", ""},
		{"@every 2h", "2026-01-01 00:30:00", "2026-01-01 23:00:00", "2026-01-01 22:30:00"},
		{"* * * * * *", "2026-01-01 00:00:00", "2027-01-01 00:00:00", "2027-01-01 00:00:00"},
		{"* * 3 * * *", "2026-01-01 00:00:00", "2026-06-01 02:00:00", "2026-05-31 03:59:59"},
		{"0 9 * * mon", "2026-01-01 00:00:00", "2026-06-07 00:00:00", "2026-06-01 09:00:00"},
		{"0 9 * * mon", "2026-06-01 09:00:00", "2026-06-07 00:00:00", ""},
		{"0 0 29 2 *", "2020-03-01 00:00:00", "2027-01-01 00:00:00", "2024-02-29 00:00:00"},
	} {
		t.Run(test.expr+" until "+test.until, func(t *testing.T) {
			got := mustParse(t, test.expr, nil).latest(at(test.anchor), at(test.until))
			var want time.Time
			if test.want != "" {
				want = at(test.want)
			}
			if !got.Equal(want) {
				t.Errorf("got %s, want %s", got, want)
			}
		})
	}
}

// FuzzParseSchedule: never a panic, and what is accepted fires, in order, wherever its clock stands.
func FuzzParseSchedule(f *testing.F) {
	for _, expr := range []string{
		"*/5 * * * *", "0 0 29 2 *", "0 0 31 2 *", "TZ=UTC", "CRON_TZ=", "@every -1h", "@every 1s", "@", "0 9 * * fri-sun",
		"? ? ? ? ?", "1-2/3 * * * * 7", "0,30 2 * * *", "* * * * 7/2", "@daily", "@every 2540400h",
	} {
		f.Add(expr, int64(1_774_000_000), uint8(0))
	}
	var zones []*time.Location
	for _, name := range []string{"UTC", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia", "America/Sao_Paulo"} {
		zones = append(zones, location(f, name))
	}
	f.Fuzz(func(t *testing.T, expr string, unix int64, zone uint8) {
		schedule, err := ParseSchedule(expr, zones[int(zone)%len(zones)])
		if err != nil {
			return
		}
		from := time.Unix(unix%(1<<32), 0) // from 1833 to 2106
		next := schedule.Next(from)
		if !next.After(from) {
			t.Fatalf("%q: after %s comes %s", expr, from, next)
		}
		if schedule.every == 0 {
			if gap := next.Sub(from); gap > 9*366*24*time.Hour {
				t.Fatalf("%q: after %s comes %s, only", expr, from, next)
			}
			if again := schedule.Next(next.Add(-1)); !again.Equal(next) {
				t.Fatalf("%q: just before %s comes %s", expr, next, again)
			}
			if got := schedule.latest(from, next); !got.Equal(next) {
				t.Fatalf("%q: latest from %s to %s is %s", expr, from, next, got)
			}
		}
	})
}
