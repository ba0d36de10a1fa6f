package schedule

import (
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

const wantSchedule = "want 5 fields (minute hour day month weekday), 6 with seconds first, " +
	"a descriptor such as @daily, or @every 5m"

// descriptors are shorthands for five fields.
var descriptors = map[string]string{
	"@yearly":   "0 0 1 1 *",
	"@annually": "0 0 1 1 *",
	"@monthly":  "0 0 1 * *",
	"@weekly":   "0 0 * * 0",
	"@daily":    "0 0 * * *",
	"@midnight": "0 0 * * *",
	"@hourly":   "0 * * * *",
}

// longestEvery is a year with a 29 February. What is rarer than yearly is a date.
const longestEvery = 366 * 24 * time.Hour

var calendarParser = cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// Parse reads a cron expression: five fields; six with seconds first; @yearly, @annually, @monthly, @weekly, @daily,
// @midnight or @hourly; or @every and a duration of whole seconds, at most 8784h. Its times are those of location, UTC
// if nil. Sunday is 0 or 7. Where both the day and the weekday are restricted, by */2 too, either of them suffices.
//
// The times of @every are the multiples of its duration since 1970-01-01T00:00:00Z, in every process.
//
// What would never fire is refused, and so is a time zone within the expression: location says it. The error is a
// *Error.
func Parse(expr string, location *time.Location) (Schedule, error) {
	if location == nil {
		location = time.UTC
	}
	e := expression(expr)
	words := e.words()
	if len(words) == 0 {
		return Schedule{}, e.refuse(word{start: 0, end: len(e)}, "empty: %s", wantSchedule)
	}
	for _, w := range words {
		if strings.Contains(w.text, "=") { // TZ= and CRON_TZ=
			return Schedule{}, e.refuse(w, "%s does not belong into the expression: the job has a time zone of its own",
				e.quote(w))
		}
	}
	first := words[0]
	if first.text == "@every" {
		every, err := parseEvery(e, words)
		if err != nil {
			return Schedule{}, err
		}
		return Schedule{text: "@every " + every.String(), every: every, location: location}, nil
	}
	if first.text[0] == '@' {
		expanded, err := expand(e, words)
		if err != nil {
			return Schedule{}, err
		}
		e, words = expanded, expanded.words()
	}
	calendar, everyHour, err := parseCalendar(e, words)
	if err != nil {
		return Schedule{}, err
	}
	text := normalForm(calendar, everyHour) + " " + location.String()
	return Schedule{text: text, calendar: calendar, location: location, everyHour: everyHour}, nil
}

// expand returns the fields that a descriptor stands for.
func expand(e expression, words []word) (expression, error) {
	first := words[0]
	expanded, ok := descriptors[first.text]
	switch {
	case first.text == "@reboot":
		return "", e.refuse(first, "@reboot has no meaning where another replica may take over: %s", wantSchedule)
	case !ok:
		const want = "want @yearly, @monthly, @weekly, @daily, @hourly, or @every 5m"
		return "", e.refuse(first, "unknown descriptor %s: %s", e.quote(first), want)
	case len(words) > 1:
		return "", e.refuse(words[1].through(words[len(words)-1]), "want nothing after %s", first.text)
	}
	return expression(expanded), nil
}

func parseEvery(e expression, words []word) (time.Duration, error) {
	if len(words) == 1 {
		return 0, e.refuse(words[0], "@every takes a duration: want for example @every 1h30m")
	}
	given := words[1].through(words[len(words)-1])
	if n := len(words) - 1; n > 1 {
		return 0, e.refuse(given, "@every takes one duration, got %d words: want for example @every 1h30m", n)
	}
	every, err := time.ParseDuration(words[1].text)
	problem, mostHours := "", int(longestEvery.Hours())
	switch {
	case err != nil:
		problem = fmt.Sprintf("want a duration such as 30s, 5m or 1h30m, at most %dh", mostHours)
	case every < time.Second:
		problem = "want at least 1s"
	case every > longestEvery:
		problem = fmt.Sprintf("want at most %dh, or a date such as 0 0 1 1 *", mostHours)
	case every%time.Second != 0:
		problem = "want whole seconds"
	default:
		return every, nil
	}
	return 0, e.refuse(given, "@every %s: %s", e.quote(given), problem)
}

// parseCalendar checks everything itself, because the parser behind it panics on some mistakes and guesses at others.
// What it passes on, the parser cannot misread.
func parseCalendar(e expression, words []word) (calendar *cron.SpecSchedule, everyHour bool, err error) {
	const most = 6
	switch first, last := words[0], words[len(words)-1]; {
	case len(words) > most:
		return nil, false, e.refuse(words[most].through(last), "want 5 or 6 fields, got %d", len(words))
	case len(words) < most-1:
		return nil, false, e.refuse(first.through(last), "want 5 or 6 fields, got %d", len(words))
	}
	checked := []string{"0"} // of seconds that are not given
	for i, f := range cronFields[most-len(words):] {
		normal, wildcard, err := f.check(e, words[i])
		if err != nil {
			return nil, false, err
		}
		if f.name == "hour" {
			everyHour = wildcard
		}
		checked = append(checked, normal)
	}
	parsed, err := calendarParser.Parse(strings.Join(checked[len(checked)-most:], " "))
	calendar, ok := parsed.(*cron.SpecSchedule)
	if err != nil || !ok {
		return nil, false, e.refuse(words[0].through(words[len(words)-1]), "cannot be read: %v", err)
	}
	calendar.Location = time.UTC
	days := words[len(words)-3].through(words[len(words)-2])
	if last := lastDay(calendar); calendar.Dow&starBit != 0 && bits.TrailingZeros64(calendar.Dom) > last {
		return nil, false, e.refuse(days, "never fires: want a day from 1 to %d in these months", last)
	}
	return calendar, everyHour, nil
}

// lastDay returns the last day that one of the calendar's months can have.
func lastDay(calendar *cron.SpecSchedule) (last int) {
	for _, month := range values(calendar.Month) {
		last = max(last, time.Date(2000, time.Month(month)+1, 0, 0, 0, 0, 0, time.UTC).Day()) // of a leap year
	}
	return last
}
