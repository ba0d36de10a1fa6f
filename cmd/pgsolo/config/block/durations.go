package block

import (
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Duration takes a string such as "1m30s" in which check finds no problem.
func Duration(to *time.Duration, check func(time.Duration) string) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		given, ok := d.DurationText(attr)
		if !ok {
			return
		}
		parsed, err := time.ParseDuration(given.Value)
		problem := ""
		if err != nil {
			problem = AboutDuration(given)
		} else {
			problem = check(parsed)
		}
		if problem != "" {
			d.Report("Invalid "+attr.Name, attr.Expr.Range(), "%s", problem)
			return
		}
		*to = parsed
	}
}

// DurationText is Text, except that a bare number gets the advice that helps with it.
func (d *Decoder) DurationText(attr *hclsyntax.Attribute) (Text, bool) {
	literal, ok := attr.Expr.(*hclsyntax.LiteralValueExpr)
	if !ok || literal.Val.IsNull() || literal.Val.Type() != cty.Number {
		return d.Text(attr)
	}
	d.Report("Wrong type", attr.Expr.Range(),
		"A duration is a string with a unit, not a number. Did you mean %s?",
		withUnit(literal.Val.AsBigFloat().Text('f', -1)))
	return Text{}, false
}

// withUnit adds the likely unit to a number: milliseconds may be meant by a large one.
func withUnit(number string) string {
	if len(number) >= 3 {
		return fmt.Sprintf("%q or %q", number+"ms", number+"s")
	}
	return fmt.Sprintf("%q", number+"s")
}

// Positive is the check of most durations.
func Positive(duration time.Duration) string {
	if duration <= 0 {
		return "The duration must be above zero."
	}
	return ""
}

// AboutDuration explains why a string is not a duration.
func AboutDuration(given Text) string {
	number := strings.TrimSpace(given.Value)
	if number != "" && strings.Trim(number, "0123456789") == "" {
		return given.Shown() + " has no unit." + given.Hint("Did you mean %s?", withUnit(number))
	}
	if meant := MeantDuration(given.Value); meant != "" {
		return given.Shown() + " is not a duration." + given.Hint("Did you mean %q?", meant)
	}
	return given.Shown() + ` is not a duration. Write numbers with the units h, m, s and ms, such as "1m30s".`
}

// MeantDuration guesses the duration that is meant by one with other units, or with none, or is empty.
func MeantDuration(given string) string {
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

// NotNegative is the check of a duration that may be none.
func NotNegative(duration time.Duration) string {
	if duration < 0 {
		return "The duration must not be negative."
	}
	return ""
}

// days writes a number of days or weeks in hours.
func days(number string, hours int) string {
	var n int
	if _, err := fmt.Sscanf(number, "%d", &n); err != nil || n > 100_000 || strings.Contains(number, ".") {
		return ""
	}
	return fmt.Sprintf("%dh", n*hours)
}
