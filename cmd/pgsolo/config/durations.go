package config

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// duration takes a string such as "1m30s" in which check finds no problem.
func (d *decoder) duration(to *time.Duration, check func(time.Duration) string) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		given, ok := d.durationText(attr)
		if !ok {
			return
		}
		parsed, err := time.ParseDuration(given.value)
		problem := ""
		if err != nil {
			problem = aboutDuration(given)
		} else {
			problem = check(parsed)
		}
		if problem != "" {
			d.report("Invalid "+attr.Name, attr.Expr.Range(), "%s", problem)
			return
		}
		*to = parsed
	}
}

// durationText is getString, except that a bare number gets the advice that helps with it.
func (d *decoder) durationText(attr *hclsyntax.Attribute) (text, bool) {
	literal, ok := attr.Expr.(*hclsyntax.LiteralValueExpr)
	if !ok || literal.Val.IsNull() || literal.Val.Type() != cty.Number {
		return d.getString(attr)
	}
	d.report("Wrong type", attr.Expr.Range(),
		"A duration is a string with a unit, not a number. Did you mean %s?", withUnit(literal.Val.AsBigFloat().Text('f', -1)))
	return text{}, false
}

// withUnit adds the likely unit to a number: milliseconds may be meant by a large one.
func withUnit(number string) string {
	if len(number) >= 3 {
		return fmt.Sprintf("%q or %q", number+"ms", number+"s")
	}
	return fmt.Sprintf("%q", number+"s")
}

// positive is the check of most durations.
func positive(duration time.Duration) string {
	if duration <= 0 {
		return "The duration must be above zero."
	}
	return ""
}

// aboutDuration explains why a string is not a duration.
func aboutDuration(given text) string {
	number := strings.TrimSpace(given.value)
	if number != "" && strings.Trim(number, "0123456789") == "" {
		return given.shown() + " has no unit." + given.hint("Did you mean %s?", withUnit(number))
	}
	if meant := meantDuration(given.value); meant != "" {
		return given.shown() + " is not a duration." + given.hint("Did you mean %q?", meant)
	}
	return given.shown() + ` is not a duration. Write numbers with the units h, m, s and ms, such as "1m30s".`
}

// meantDuration guesses the duration that someone wrote with other units, or with none, and is empty where it cannot.
func meantDuration(given string) string {
	match := regexp.MustCompile(`^\s*(\d+)(?:\.\d+)?\s*([a-zA-Z]*)\s*$`).FindStringSubmatch(given)
	if match == nil {
		return ""
	}
	number := strings.TrimRight(strings.TrimSpace(given), "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	unit := strings.ToLower(match[2])
	guess := ""
	switch {
	case unit == "s" || strings.HasPrefix(unit, "sec"):
		guess = number + "s"
	case unit == "ms" || strings.HasPrefix(unit, "milli") || strings.HasPrefix(unit, "msec"):
		guess = number + "ms"
	case unit == "m" || strings.HasPrefix(unit, "min"):
		guess = number + "m"
	case unit == "h" || strings.HasPrefix(unit, "hr") || strings.HasPrefix(unit, "hour"):
		guess = number + "h"
	case unit == "d" || strings.HasPrefix(unit, "day"):
		guess = days(number, 24)
	case unit == "w" || strings.HasPrefix(unit, "week"):
		guess = days(number, 7*24)
	}
	if _, err := time.ParseDuration(guess); err != nil {
		return ""
	}
	return guess
}

// days writes a number of days or weeks in hours.
func days(number string, hours int) string {
	var n int
	if _, err := fmt.Sscanf(number, "%d", &n); err != nil || n > 100_000 || strings.Contains(number, ".") {
		return ""
	}
	return fmt.Sprintf("%dh", n*hours)
}
