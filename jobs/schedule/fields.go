package schedule

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

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

const anyValue = "*"

// check returns the field in a form that the parser behind it cannot misread: with numbers for names, and with 0 for
// Sunday. The field is a wildcard if all of its items are * or */n, or one is *.
func (f cronField) check(e expression, field word) (normal string, wildcard bool, err error) {
	if field.text == "?" && (f.name == "day" || f.name == "weekday") {
		return anyValue, true, nil
	}
	var items []string
	wildcard = true
	for _, item := range field.split(',') {
		if item.text == "" {
			comma := word{start: max(item.start-1, field.start), end: max(item.start, field.start+1)}
			return "", false, e.refuse(comma, "%s list: want a value on both sides of each comma", f.name)
		}
		normal, err := f.checkItem(e, item)
		if err != nil {
			return "", false, err
		}
		items = append(items, normal)
		wildcard = wildcard && item.text[0] == '*'
	}
	if slices.Contains(items, anyValue) {
		return anyValue, true, nil // which does not restrict the days as 0-6 would
	}
	return strings.Join(items, ","), wildcard, nil
}

// checkItem reads *, a value, or a range, each with or without a step.
func (f cronField) checkItem(e expression, item word) (string, error) {
	base, by, stepped := item.cut("/")
	from, to, ranged := base.cut("-")
	low, high, step := f.min, f.max, 1
	var err error
	if base.text != anyValue {
		if low, err = f.value(e, from); err != nil {
			return "", err
		}
		if high = low; stepped { // a value with a step goes on to the end
			high = f.max
		}
	}
	if ranged {
		if high, err = f.value(e, to); err != nil {
			return "", err
		}
		if to.text == "sun" && low > 0 {
			high = 7
		}
	}
	if low > high {
		return "", f.refuseBackwards(e, base, from, to, low, high)
	}
	if stepped {
		if step, err = parseDigits(by.text); err != nil || step < 1 || step > f.max-f.min {
			return "", e.refuse(by, "%s step %s: want 1 to %d", f.name, e.quote(by), f.max-f.min)
		}
	}
	if base.text == anyValue && step == 1 {
		return anyValue, nil
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

// refuseBackwards makes the error for a range that ends before it begins: 22-2, fri-mon, 7-2 or 7/2.
func (f cronField) refuseBackwards(e expression, base, from, to word, low, high int) error {
	if low > f.max { // Sunday as 7
		return e.refuse(from, "%s 7 begins a range: want 0, which is Sunday too", f.name)
	}
	between := func(a, b int) string {
		if a == b {
			return f.spell(a, to.text)
		}
		return f.spell(a, to.text) + "-" + f.spell(b, to.text)
	}
	return e.refuse(base, "%s %s ends before it begins: want %s,%s", f.name, e.quote(base), between(low, f.max),
		between(f.min, high))
}

// spell returns a value as a name, if like is one.
func (f cronField) spell(value int, like string) string {
	if slices.Contains(f.names, like) {
		return f.names[value-f.min]
	}
	return strconv.Itoa(value)
}

// value reads a number or a name. 7 is a weekday too.
func (f cronField) value(e expression, w word) (int, error) {
	if i := slices.Index(f.names, w.text); i >= 0 {
		return f.min + i, nil
	}
	highest, names := f.max, ""
	if f.names != nil {
		names = fmt.Sprintf(" or %s to %s", f.names[0], f.names[len(f.names)-1])
	}
	if f.name == "weekday" {
		highest = 7
	}
	n, err := parseDigits(w.text)
	if err != nil || n < f.min || n > highest {
		return 0, e.refuse(w, "%s %s: want %d to %d%s", f.name, e.quote(w), f.min, highest, names)
	}
	return n, nil
}

// parseDigits reads digits alone: no sign.
func parseDigits(digits string) (int, error) {
	n, err := strconv.ParseUint(digits, 10, 16)
	return int(n), err
}
