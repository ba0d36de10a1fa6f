package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

// schedules takes a cron expression, or a list of them.
func schedules(to *[]string) block.Value {
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		value, hidden := d.Evaluate(attr)
		if value == cty.NilVal || !d.Usable(attr, value) || !value.IsWhollyKnown() {
			return
		}
		switch {
		case value.Type() == cty.String:
			expression := block.Text{Value: value.AsString(), Hidden: hidden}
			if isSchedule(d, attr, attr.Expr, expression) {
				*to = []string{expression.Value}
			}
		case !block.IsList(value.Type()):
			d.Report("Wrong type", attr.Expr.Range(), "The argument %s is a string or a list of strings, not %s.",
				attr.Name, block.Article(value.Type()))
		case value.LengthInt() == 0:
			d.Report("Invalid "+attr.Name, attr.Expr.Range(),
				`The list is empty. Write at least one: schedule = ["0 9 * * *", "0 17 * * *"].`)
		default:
			scheduleList(d, to, attr, value, hidden)
		}
	}
}

func scheduleList(d *block.Decoder, to *[]string, attr *hclsyntax.Attribute, list cty.Value, hidden bool) {
	var (
		expressions []string
		parsed      []string // in the form that is the same for the same times
	)
	for key, element := range list.Elements() {
		at := block.ElementExpr(attr.Expr, key)
		if at == nil {
			at = attr.Expr
		}
		switch {
		case element.IsNull():
			d.Report("Missing value", at.Range(), "An element of %s must not be null.", attr.Name)
			continue
		case element.Type() != cty.String:
			d.Report("Wrong type", at.Range(), "An element of %s is a string, not %s.", attr.Name,
				block.Article(element.Type()))
			continue
		}
		_, literal := block.LiteralRange(at)
		expression := block.Text{Value: element.AsString(), Hidden: hidden && !literal}
		if !isSchedule(d, attr, at, expression) {
			continue
		}
		schedule, err := schedule.Parse(expression.Value, time.UTC)
		if err == nil && slices.Contains(parsed, schedule.String()) {
			d.Report("Invalid "+attr.Name, at.Range(),
				"Another schedule of the list has the same times. Remove one of the two.")
			continue
		}
		expressions, parsed = append(expressions, expression.Value), append(parsed, schedule.String())
	}
	if len(expressions) == list.LengthInt() {
		*to = expressions
	}
}

// isSchedule reports what is wrong with an expression, at the part of it that is.
func isSchedule(d *block.Decoder, attr *hclsyntax.Attribute, at hclsyntax.Expression, given block.Text) bool {
	_, err := schedule.Parse(given.Value, time.UTC)
	if err == nil {
		return true
	}
	place := at.Range()
	if wrong, ok := errors.AsType[*schedule.Error](err); ok {
		place = block.PartOf(at, given.Value, wrong.Start, wrong.End)
	}
	d.Report("Invalid "+attr.Name, place, "%s", aboutSchedule(given, err))
	return false
}

func aboutSchedule(given block.Text, err error) string {
	if given.Hidden {
		return given.Shown() + " is not a schedule."
	}
	problem := err.Error()
	if wrong, ok := errors.AsType[*schedule.Error](err); ok {
		problem = wrong.Problem
		part := given.Value[wrong.Start:wrong.End]
		if name, zone, ok := strings.Cut(part, "="); ok && strings.HasSuffix(strings.ToUpper(name), "TZ") {
			return given.Shown() + " is not a schedule: the time zone does not belong into it. " + zoneRemedy(zone)
		}
	}
	if meant := meantSchedule(given.Value); meant != "" {
		return fmt.Sprintf("%s is not a schedule. Did you mean %q?", given.Shown(), meant)
	}
	return fmt.Sprintf("%s is not a schedule: %s.", given.Shown(), problem)
}

// meantSchedule guesses the schedule that is meant by a misspelled descriptor or a duration in another form, or is
// empty.
func meantSchedule(given string) string {
	given = strings.ToLower(strings.TrimSpace(given))
	descriptors := []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
	if meant := block.Nearest(given, descriptors); meant != "" {
		return meant
	}
	every := "@every " + block.MeantDuration(strings.TrimPrefix(strings.TrimPrefix(given, "@"), "every"))
	if _, err := schedule.Parse(every, time.UTC); err != nil {
		return ""
	}
	return every
}
