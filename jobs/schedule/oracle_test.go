package schedule

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
)

// oracleField is a field as the test made it up: its text, and the values that it means.
type oracleField struct {
	text     string
	values   [60]bool
	star     bool // leaves the days to the other field
	wildcard bool // of the hours
}

// oracleSchedule is a schedule as the test made it up, in the order of cronFields.
type oracleSchedule [6]oracleField

func (s *oracleSchedule) expression(withSeconds bool) string {
	var texts []string
	for i, f := range s {
		if i > 0 || withSeconds {
			texts = append(texts, f.text)
		}
	}
	return strings.Join(texts, " ")
}

// names says whether the expression names what the clock shows.
func (s *oracleSchedule) names(shown time.Time) bool {
	day, weekday := s[3].values[shown.Day()], s[5].values[int(shown.Weekday())]
	dayFits := day || weekday
	if s[3].star || s[5].star {
		dayFits = day && weekday
	}
	return dayFits && s[0].values[shown.Second()] && s[1].values[shown.Minute()] && s[2].values[shown.Hour()] &&
		s[4].values[int(shown.Month())]
}

// oracleInstant is an instant within a window.
type oracleInstant struct {
	at       time.Time
	shown    time.Time   // in UTC, what the clock shows
	repeated bool        // it has shown this before
	skipped  []time.Time // what it has not shown since the instant before
}

// fires is the definition, word by word.
func (s *oracleSchedule) fires(i oracleInstant) bool {
	if s[2].wildcard { // wildcard hours run as they come
		return s.names(i.shown)
	}
	if slices.ContainsFunc(i.skipped, s.names) { // a time in the gap runs at the first valid instant
		return true
	}
	return s.names(i.shown) && !i.repeated // a repeated time runs once
}

// oracleWindow reads the clock of a zone from before an instant to after it, step by step.
func oracleWindow(t *testing.T, zone, around string, before, after, step time.Duration) []oracleInstant {
	t.Helper()
	loc := location(t, zone)
	center, err := time.Parse(time.RFC3339, around)
	if err != nil {
		t.Fatal(err)
	}
	var instants []oracleInstant
	seen := map[time.Time]bool{}
	for at := center.Add(-before); at.Before(center.Add(after)); at = at.Add(step) {
		y, mo, d := at.In(loc).Date()
		h, mi, s := at.In(loc).Clock()
		shown := time.Date(y, mo, d, h, mi, s, 0, time.UTC)
		instant := oracleInstant{at: at, shown: shown, repeated: seen[shown]}
		if n := len(instants); n > 0 {
			for missing := instants[n-1].shown.Add(step); missing.Before(shown); missing = missing.Add(step) {
				instant.skipped = append(instant.skipped, missing)
			}
		}
		seen[shown] = true
		instants = append(instants, instant)
	}
	return instants
}

func oracleItem(r *rand.Rand, f cronField) (text string, values []int, star bool) {
	from, to, step := f.min, f.max, 1
	single := false
	switch low, high := f.min+r.IntN(f.max-f.min+1), f.min+r.IntN(f.max-f.min+1); r.IntN(4) {
	case 0:
		text, star = "*", true
	case 1:
		from, to, text = min(low, high), max(low, high), fmt.Sprintf("%d-%d", min(low, high), max(low, high))
	case 2:
		from, to, text, single = low, low, fmt.Sprintf("%02d", low), true
		if f.names != nil && r.IntN(2) == 0 {
			text = strings.ToUpper(f.names[low-f.min])
		}
	case 3: // some of the week's end
		from, text = low, fmt.Sprintf("%d-%d", low, f.max)
		if f.name == "weekday" {
			to, text = 7, fmt.Sprintf("%d-7", low)
		}
	}
	if r.IntN(3) == 0 {
		step = 1 + r.IntN(min(f.max-f.min, 12))
		star = star && step == 1
		if single { // with a step it goes on to the end
			to = f.max
		}
		text += fmt.Sprintf("/%d", step)
	}
	for value := from; value <= to; value += step {
		if f.name == "weekday" {
			values = append(values, value%7)
		} else {
			values = append(values, value)
		}
	}
	return text, values, star
}

func oracleFieldOf(r *rand.Rand, f cronField) oracleField {
	field := oracleField{wildcard: true}
	var texts []string
	for range 1 + r.IntN(3) {
		text, values, star := oracleItem(r, f)
		texts = append(texts, text)
		for _, value := range values {
			field.values[value] = true
		}
		field.star = field.star || star
		field.wildcard = field.wildcard && text[0] == '*'
	}
	field.wildcard = field.wildcard || field.star
	field.text = strings.Join(texts, ",")
	return field
}

// oracleScheduleOf makes up a schedule that mostly has times on any day.
func oracleScheduleOf(r *rand.Rand, withSeconds bool) (s oracleSchedule) {
	for i, f := range cronFields {
		s[i] = oracleFieldOf(r, f)
		if i == 0 && !withSeconds {
			s[i] = oracleField{values: [60]bool{true}}
		}
		if i > 2 && r.IntN(10) < 7 {
			s[i].text, s[i].star = "*", true
			if f.name != "month" && r.IntN(4) == 0 {
				s[i].text = "?"
			}
			for value := f.min; value <= f.max; value++ {
				s[i].values[value] = true
			}
		}
	}
	return s
}

// Ten thousand schedules, each over a change of some clock: Next leads through the instants that the definition names,
// which goes through the minutes or seconds one by one.
func TestTenThousandSchedules(t *testing.T) {
	type window struct {
		zone     string
		instants []oracleInstant
	}
	var minutes, secondly []window
	for _, change := range []struct {
		zone, at string
		hours    int // that it takes
	}{
		{"UTC", "2026-01-01T00:00:00Z", 1},
		{"America/New_York", "2026-03-08T07:00:00Z", 1},
		{"America/New_York", "2026-11-01T06:00:00Z", 1},
		{"America/New_York", "2048-12-31T00:00:00Z", 12},
		{"Europe/Berlin", "2026-03-29T01:00:00Z", 1},
		{"Europe/Berlin", "2026-10-25T01:00:00Z", 1},
		{"Europe/Dublin", "2026-03-29T01:00:00Z", 1},
		{"Europe/Dublin", "2026-10-25T01:00:00Z", 1},
		{"America/Sao_Paulo", "2018-11-04T03:00:00Z", 1},
		{"America/Sao_Paulo", "2018-02-18T02:00:00Z", 1},
		{"Australia/Lord_Howe", "2026-10-03T15:30:00Z", 1},
		{"Australia/Lord_Howe", "2026-04-04T15:00:00Z", 1},
		{"Pacific/Apia", "2011-12-30T10:00:00Z", 1},
		{"Pacific/Apia", "2021-04-03T14:00:00Z", 1},
		{"Antarctica/Troll", "2026-03-29T01:00:00Z", 2},
		{"Antarctica/Troll", "2026-10-25T01:00:00Z", 2},
		{"Africa/Casablanca", "2024-03-10T02:00:00Z", 1},
		{"Africa/Casablanca", "2024-04-14T02:00:00Z", 1},
		{"America/Caracas", "2016-05-01T07:00:00Z", 1},
		{"America/Caracas", "2007-12-09T07:00:00Z", 1},
		{"Asia/Kathmandu", "1985-12-31T18:30:00Z", 1},
		{"Pacific/Kwajalein", "1993-08-21T12:00:00Z", 1},
	} {
		around := time.Duration(change.hours)*time.Hour + 90*time.Minute
		minutes = append(minutes, window{change.zone,
			oracleWindow(t, change.zone, change.at, around, around, time.Minute)})
	}
	for _, change := range []struct{ zone, at string }{
		{"America/New_York", "2026-03-08T07:00:00Z"},
		{"America/New_York", "2026-11-01T06:00:00Z"},
		{"Australia/Lord_Howe", "2026-04-04T15:00:00Z"},
		{"Africa/Monrovia", "1972-01-07T00:44:30Z"},
	} {
		instants := oracleWindow(t, change.zone, change.at, 70*time.Minute, 70*time.Minute, time.Second)
		secondly = append(secondly, window{change.zone, instants})
	}
	r := rand.New(rand.NewPCG(1, 2))
	fired, refused := 0, 0
	for n := range 10_000 {
		windows, withSeconds := minutes, false
		if n%50 == 0 {
			windows, withSeconds = secondly, true
		}
		made, window := oracleScheduleOf(r, withSeconds), windows[r.IntN(len(windows))]
		expr := made.expression(withSeconds)
		schedule, err := Parse(expr, location(t, window.zone))
		if err != nil {
			if refused++; !strings.Contains(err.Error(), "never fires") {
				t.Fatal(err)
			}
		}
		var want []oracleInstant
		for _, instant := range window.instants[1:] {
			if made.fires(instant) {
				want = append(want, instant)
			}
		}
		if err != nil {
			if len(want) > 0 {
				t.Fatalf("%v, but in %s at %s", err, window.zone, want[0].at)
			}
			continue
		}
		fired += len(want)
		last := window.instants[len(window.instants)-1].at
		compareWithOracle(t, schedule, &made, want, window.instants[0].at, last)
	}
	if t.Logf("%d instants, %d schedules refused", fired, refused); fired < 100_000 || refused > 100 {
		t.Errorf("%d instants in all and %d schedules refused: the schedules are not worth much", fired, refused)
	}
}

func compareWithOracle(t *testing.T, schedule Schedule, made *oracleSchedule, want []oracleInstant,
	first, last time.Time) {
	t.Helper()
	at := first
	for _, instant := range want {
		next := schedule.Next(at)
		if !next.Equal(instant.at) {
			t.Fatalf("%s: after %s comes %s, want %s", schedule, at.In(schedule.location), next,
				instant.at.In(schedule.location))
		}
		at = next
		moved := !made[2].wildcard && slices.ContainsFunc(instant.skipped, made.names)
		if named, got := schedule.Moved(at); got != moved {
			t.Fatalf("%s: %s moved from %q: %t, want %t", schedule, at, named, got, moved)
		}
	}
	if next := schedule.Next(at); !next.After(last) {
		t.Fatalf("%s: after %s comes %s, want none up to %s", schedule, at.In(schedule.location), next, last)
	}
	latest := schedule.latest(first, last)
	if len(want) > 0 && !latest.Equal(at) || len(want) == 0 && !latest.IsZero() {
		t.Fatalf("%s: the latest is %s, want the last of %d, %s", schedule, latest, len(want), at)
	}
}
