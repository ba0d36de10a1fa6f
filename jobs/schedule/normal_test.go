package schedule

import (
	"math/rand/v2"
	"strings"
	"testing"
	"time"
)

func TestScheduleString(t *testing.T) {
	for _, test := range []struct {
		want  string
		exprs []string
	}{
		{"0 0 0 * * * UTC", []string{"@daily", "@Midnight", "0 0 * * *", "00 0 0 ? * *", " 0\t0  * * ? "}},
		{"0 0 0 * * * UTC", []string{"0 0 1-31 * *", "0 0 * * sun-sat", "0 0 */1,5 1/1 *"}},
		{"0 0 0 * * 1-5 UTC", []string{"0 0 * * mon-fri", "0 0 * * 5,4,3,2,1", "0 0 ? * Mon-Wed,3-5", "0 0 * * 1-5/1"}},
		{"0 0 0 * * 0 UTC", []string{"@weekly", "0 0 * * 7", "0 0 * * 0,7", "0 0 * * sun"}},
		{"0 0-55/5 * * * * UTC", []string{"*/5 * * * *", "0/5 * * * *", "0,5,10,15-59/5 * * * *"}},
		{"0 0 * * * * UTC", []string{"@hourly", "0 */1 * * *", "0 *,3 * * *", "0 3,* * * *"}},
		{"0 0 0-23 * * * UTC", []string{"0 0-23 * * *", "0 0/1 * * *"}}, // not a wildcard: it has times to make up for
		{"0 0 */2 * * * UTC", []string{"0 */2 * * *", "0 */4,*/2 * * *"}},
		{"0 0 */2,*/3 * * * UTC", []string{"0 */3,*/2,*/6 * * *"}},
		{"0 0 */2,*/5 * * * UTC", []string{"0 */5,*/4,*/2 * * *"}},
		{"0 0 0-22/2 * * * UTC", []string{"0 0/2 * * *", "0 0-23/2 * * *"}},
		{"0 0 0 1 1 * UTC", []string{"@yearly", "@annually", "0 0 1 jan *"}},
		{"0 0 0 13 * 5 UTC", []string{"0 0 13 * fri"}},                     // either
		{"0 0 0 1-31/2 * 1 UTC", []string{"0 0 */2 * 1", "0 0 1/2 * mon"}}, // here, too
		{"0 0 0 * * * UTC", []string{"0 0 1-31 * mon", "0 0 13 * 0-6"}},    // and here either is any
		{"0 1,2,7-9 0 * 1-3,12 * UTC", []string{"1,2,7,8,9 0 ? jan-mar,dec ?"}},
		{"@every 1m30s", []string{"@every 90s", "@every 1.5m", "@EVERY  1m30s"}},
	} {
		for _, expr := range test.exprs {
			t.Run(expr, func(t *testing.T) {
				schedule := mustParse(t, expr, nil)
				if got := schedule.String(); got != test.want {
					t.Errorf("got %s, want %s", got, test.want)
				}
			})
		}
	}
	if got := mustParse(t, "@daily", location(t, "Europe/Berlin")).String(); got != "0 0 0 * * * Europe/Berlin" {
		t.Errorf("in Berlin: got %s", got)
	}
	if got := mustParse(t, "@every 5s", location(t, "Europe/Berlin")).String(); got != "@every 5s" {
		t.Errorf("in Berlin: got %s", got)
	}
}

// What the normal form says is what the expression says, and it is its own normal form.
func TestScheduleStringCanBeRead(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	from := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	for range 2000 {
		made := oracleScheduleOf(r, true)
		expr := made.expression(true)
		schedule, err := Parse(expr, nil)
		if err != nil {
			continue
		}
		again := mustParse(t, strings.TrimSuffix(schedule.String(), " UTC"), nil)
		if again.String() != schedule.String() || again.everyHour != schedule.everyHour {
			t.Fatalf("%s: %s is read as %s", expr, schedule, again)
		}
		at := from.Add(time.Duration(r.Int64N(int64(100 * 365 * 24 * time.Hour))))
		for range 5 {
			next := schedule.calendar.Next(at) // without our short cuts, to see that they leave out nothing
			if got := again.Next(at); !got.Equal(next) {
				t.Fatalf("%s: after %s comes %s, but %s", expr, at, got, next)
			}
			at = next
		}
	}
}

func TestSchedules(t *testing.T) {
	zone := location(t, "Europe/Berlin")
	parse := func(exprs ...string) Set {
		all, err := ParseAll(exprs, zone)
		if err != nil {
			t.Fatal(err)
		}
		return all
	}
	all := parse("30 2 * * *", "0 3 * * *", "15 2 * * sun", "*/30 * * * mon")
	want := []string{
		"2026-03-28 03:00 +0100",
		"2026-03-29 03:00 +0200 for 2026-03-29 02:30, 2026-03-29 02:15",
		"2026-03-30 00:00 +0200",
		"2026-03-30 00:30 +0200",
	}
	at := time.Date(2026, 3, 28, 2, 30, 0, 0, zone)
	for _, want := range want {
		at = all.Next(at)
		got := at.Format("2006-01-02 15:04 -0700")
		if named, moved := all.Moved(at); moved {
			got += " for " + named
		}
		if got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	latest := all.Latest(time.Date(2026, 3, 28, 0, 0, 0, 0, zone), time.Date(2026, 3, 30, 12, 10, 0, 0, zone))
	if want := time.Date(2026, 3, 30, 12, 0, 0, 0, zone); !latest.Equal(want) {
		t.Errorf("the latest is %s, want %s", latest, want)
	}
	if latest := all.Latest(latest, latest.Add(29*time.Minute)); !latest.IsZero() {
		t.Errorf("the latest of none is %s", latest)
	}
	for _, same := range []Set{parse("@daily", "@every 1h"), parse("@every 60m", "0 0 * * *", "@every 1h")} {
		if got, want := same.String(), "0 0 0 * * * Europe/Berlin; @every 1h0m0s"; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if !all.Repeated(time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)) ||
		all.Repeated(time.Date(2026, 10, 25, 1, 30, 0, 0, time.UTC)) {
		t.Error("of the two 02:30 of 2026-10-25, want the first to be marked")
	}
}

func TestParseAllRefuses(t *testing.T) {
	for _, test := range []struct {
		exprs []string
		want  string
	}{
		{nil, "no schedule: " + wantSchedule},
		{[]string{"@daily", "0 24 * * *", "@never"}, `"0 24 * * *": hour 24: want 0 to 23`},
	} {
		if _, err := ParseAll(test.exprs, nil); err == nil || err.Error() != test.want {
			t.Errorf("%q: got %v, want %s", test.exprs, err, test.want)
		}
	}
}
