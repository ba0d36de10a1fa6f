package jobs

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/robfig/cron/v3"
)

const wantSchedule = "want 5 fields (minute hour day month weekday), 6 with seconds first, a descriptor such as @daily, or @every 5m"

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

// cronField is one of the six of an expression.
type cronField struct {
	name     string
	min, max int
	names    []string // of the values from min on; nil where only numbers count
}

var cronFields = []cronField{
	{"second", 0, 59, nil},
	{"minute", 0, 59, nil},
	{"hour", 0, 23, nil},
	{"day", 1, 31, nil},
	{"month", 1, 12, strings.Fields("jan feb mar apr may jun jul aug sep oct nov dec")},
	{"weekday", 0, 6, strings.Fields("sun mon tue wed thu fri sat")},
}

var calendarParser = cron.NewParser(cron.Second | cron.Minute | cron.Hour | cron.Dom | cron.Month | cron.Dow)

// ParseSchedule reads a cron expression: five fields; six with seconds first; @yearly, @annually, @monthly, @weekly, @daily,
// @midnight or @hourly; or @every and a duration of whole seconds. Its times are those of location, UTC if nil. Sunday is 0 or 7.
//
// What would never fire is refused, and so is a time zone within the expression: location says it. The errors say what is
// wrong and what would be right.
func ParseSchedule(expr string, location *time.Location) (Schedule, error) {
	if location == nil {
		location = time.UTC
	}
	words := strings.Fields(strings.ToLower(expr))
	text := strings.Join(words, " ") + " " + location.String()
	switch {
	case len(words) == 0:
		return Schedule{}, errors.New("empty: " + wantSchedule)
	case strings.Contains(words[0], "="): // TZ= and CRON_TZ=
		return Schedule{}, fmt.Errorf("%q does not belong into the expression: the job has a time zone of its own", words[0])
	case words[0] == "@every":
		every, err := parseEvery(words[1:])
		return Schedule{text: "@every " + every.String(), every: every}, err
	case words[0] == "@reboot":
		return Schedule{}, errors.New("@reboot has no meaning where another replica may take over: " + wantSchedule)
	case words[0][0] == '@':
		expanded, ok := descriptors[words[0]]
		if !ok || len(words) > 1 {
			return Schedule{}, fmt.Errorf("unknown descriptor %q: want @yearly, @monthly, @weekly, @daily, @hourly, or @every 5m", strings.Join(words, " "))
		}
		words = strings.Fields(expanded)
	}
	calendar, err := parseCalendar(words)
	if err != nil {
		return Schedule{}, err
	}
	hour := words[len(words)-4] // counted from the end, since the seconds may be missing
	return Schedule{text: text, calendar: calendar, location: location, everyHour: hour[0] == '*'}, nil
}

func parseEvery(words []string) (time.Duration, error) {
	if len(words) != 1 {
		return 0, fmt.Errorf("@every takes one duration, got %d: want for example @every 1h30m", len(words))
	}
	every, err := time.ParseDuration(words[0])
	switch {
	case err != nil:
		return 0, fmt.Errorf("@every %q: want a duration such as 30s, 5m or 1h30m", words[0])
	case every < time.Second:
		return 0, fmt.Errorf("@every %s: want at least 1s", words[0])
	case every%time.Second != 0:
		return 0, fmt.Errorf("@every %s: want whole seconds", words[0])
	}
	return every, nil
}

// parseCalendar checks everything itself, because the parser behind it panics on some mistakes and guesses at others. What
// it hands on, the parser cannot misread.
func parseCalendar(words []string) (*cron.SpecSchedule, error) {
	switch len(words) {
	case len(cronFields) - 1:
		words = append([]string{"0"}, words...)
	case len(cronFields):
	default:
		return nil, fmt.Errorf("want 5 or 6 fields, got %d", len(words))
	}
	checked := make([]string, len(cronFields))
	for i, f := range cronFields {
		var err error
		if checked[i], err = f.normalize(words[i]); err != nil {
			return nil, fmt.Errorf("%s %q: %w", f.name, words[i], err)
		}
	}
	parsed, err := calendarParser.Parse(strings.Join(checked, " "))
	if err != nil {
		return nil, err
	}
	calendar, ok := parsed.(*cron.SpecSchedule)
	if !ok {
		return nil, fmt.Errorf("unexpected schedule %T", parsed)
	}
	calendar.Location = time.UTC
	if from := time.Date(2001, 1, 1, 0, 0, 0, 0, time.UTC); calendar.Next(from).IsZero() { // up to 2006: with a 29 February
		return nil, errors.New("never fires: no such day exists in these months")
	}
	return calendar, nil
}

// element is one item of a field: *, a value, or a range, each with or without a step.
var element = regexp.MustCompile(`^(?:(\*)|([0-9a-z]+)(?:-([0-9a-z]+))?)(?:/([0-9]+))?$`)

// normalize returns the field with numbers for names, and with 0 for Sunday.
func (f cronField) normalize(text string) (string, error) {
	if text == "?" && (f.name == "day" || f.name == "weekday") {
		return "*", nil
	}
	var items []string
	for item := range strings.SplitSeq(text, ",") {
		normal, err := f.normalizeItem(item)
		if err != nil {
			return "", err
		}
		items = append(items, normal)
	}
	return strings.Join(items, ","), nil
}

func (f cronField) normalizeItem(text string) (string, error) {
	parts := element.FindStringSubmatch(text)
	if parts == nil {
		return "", errors.New("want *, a value, a range such as 1-5, or one of them with a step such as */2")
	}
	star, from, to, by := parts[1], parts[2], parts[3], parts[4]
	low, high, step := f.min, f.max, 1
	var err error
	if from != "" {
		if low, err = f.value(from); err != nil {
			return "", err
		}
		if by == "" { // a value with a step goes on to the end
			high = low
		}
	}
	if to != "" {
		if high, err = f.value(to); err != nil {
			return "", err
		}
		if to == "sun" && low > 0 {
			high = 7
		}
	}
	if low > high {
		return "", fmt.Errorf("range %s ends before it begins: want the lower value first", text)
	}
	if by != "" {
		if step, err = strconv.Atoi(by); err != nil || step < 1 || step > f.max-f.min {
			return "", fmt.Errorf("step %s: want 1 to %d", by, f.max-f.min)
		}
	}
	if star != "" && step == 1 {
		return "*", nil // which does not restrict the days as 0-6 would
	}
	if high <= f.max {
		return fmt.Sprintf("%d-%d/%d", low, high, step), nil
	}
	var days []string // up to a Sunday that ends the week
	for day := low; day <= high; day += step {
		days = append(days, strconv.Itoa(day%7))
	}
	return strings.Join(days, ","), nil
}

// value reads a number or a name. 7 is a weekday too.
func (f cronField) value(text string) (int, error) {
	if i := slices.Index(f.names, text); i >= 0 {
		return f.min + i, nil
	}
	n, err := strconv.Atoi(text)
	sunday := f.name == "weekday" && n == 7
	if err != nil || n < f.min || n > f.max && !sunday {
		want := fmt.Sprintf("want %d to %d", f.min, f.max)
		if f.names != nil {
			want += fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
		}
		return 0, errors.New(want)
	}
	return n, nil
}
