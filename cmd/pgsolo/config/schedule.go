package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pgsolo/pgsolo/jobs/schedule"
)

// schedules takes a cron expression, or a list of them.
func (d *decoder) schedules(to *[]string) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		value, hidden := d.evaluate(attr)
		if value == cty.NilVal || !d.usable(attr, value) || !value.IsWhollyKnown() {
			return
		}
		switch {
		case value.Type() == cty.String:
			if expression := (text{value.AsString(), hidden}); d.isSchedule(attr, attr.Expr, expression) {
				*to = []string{expression.value}
			}
		case !isList(value.Type()):
			d.report("Wrong type", attr.Expr.Range(), "The argument %s is a string or a list of strings, not %s.",
				attr.Name, article(value.Type()))
		case value.LengthInt() == 0:
			d.report("Invalid "+attr.Name, attr.Expr.Range(),
				`The list is empty. Write at least one: schedule = ["0 9 * * *", "0 17 * * *"].`)
		default:
			d.scheduleList(to, attr, value, hidden)
		}
	}
}

func (d *decoder) scheduleList(to *[]string, attr *hclsyntax.Attribute, list cty.Value, hidden bool) {
	var (
		expressions []string
		parsed      []string // in the form that is the same for the same times
	)
	for key, element := range list.Elements() {
		at := elementExpr(attr.Expr, key)
		switch {
		case element.IsNull():
			d.report("Missing value", at.Range(), "An element of %s must not be null.", attr.Name)
			continue
		case element.Type() != cty.String:
			d.report("Wrong type", at.Range(), "An element of %s is a string, not %s.", attr.Name, article(element.Type()))
			continue
		}
		_, literal := literalRange(at)
		expression := text{element.AsString(), hidden && !literal}
		if !d.isSchedule(attr, at, expression) {
			continue
		}
		schedule, err := schedule.Parse(expression.value, time.UTC)
		if err == nil && slices.Contains(parsed, schedule.String()) {
			d.report("Invalid "+attr.Name, at.Range(), "Another schedule of the list has the same times. Remove one of the two.")
			continue
		}
		expressions, parsed = append(expressions, expression.value), append(parsed, schedule.String())
	}
	if len(expressions) == list.LengthInt() {
		*to = expressions
	}
}

// isSchedule reports what is wrong with an expression, at the part of it that is.
func (d *decoder) isSchedule(attr *hclsyntax.Attribute, at hclsyntax.Expression, given text) bool {
	_, err := schedule.Parse(given.value, time.UTC)
	if err == nil {
		return true
	}
	place := at.Range()
	if wrong, ok := errors.AsType[*schedule.Error](err); ok {
		place = partOf(at, given.value, wrong.Start, wrong.End)
	}
	d.report("Invalid "+attr.Name, place, "%s", aboutSchedule(given, err))
	return false
}

func aboutSchedule(given text, err error) string {
	if given.hidden {
		return given.shown() + " is not a schedule."
	}
	problem := err.Error()
	if wrong, ok := errors.AsType[*schedule.Error](err); ok {
		problem = wrong.Problem
		part := given.value[wrong.Start:wrong.End]
		if name, zone, ok := strings.Cut(part, "="); ok && strings.HasSuffix(strings.ToUpper(name), "TZ") {
			return given.shown() + " is not a schedule: the time zone does not belong into it. " + zoneRemedy(zone)
		}
	}
	if meant := meantSchedule(given.value); meant != "" {
		return fmt.Sprintf("%s is not a schedule. Did you mean %q?", given.shown(), meant)
	}
	return fmt.Sprintf("%s is not a schedule: %s.", given.shown(), problem)
}

// meantSchedule guesses the descriptor that someone misspelled, or the duration written in another form, and is empty where it
// cannot.
func meantSchedule(given string) string {
	given = strings.ToLower(strings.TrimSpace(given))
	descriptors := []string{"@yearly", "@annually", "@monthly", "@weekly", "@daily", "@midnight", "@hourly"}
	if meant := nearest(given, descriptors); meant != "" {
		return meant
	}
	every := "@every " + meantDuration(strings.TrimPrefix(strings.TrimPrefix(given, "@"), "every"))
	if _, err := schedule.Parse(every, time.UTC); err != nil {
		return ""
	}
	return every
}

// partOf is the place of some bytes of a string: within its quotes, if it is written out as it is, and else all of the expression.
func partOf(expr hclsyntax.Expression, value string, start, end int) hcl.Range {
	inner, ok := literalRange(expr)
	if !ok || inner.End.Byte-inner.Start.Byte != len(value) || start < 0 || start >= end || end > len(value) {
		return expr.Range() // an escape is longer than what it stands for
	}
	advance := func(bytes int) hcl.Pos {
		return hcl.Pos{
			Line:   inner.Start.Line,
			Column: inner.Start.Column + utf8.RuneCountInString(value[:bytes]),
			Byte:   inner.Start.Byte + bytes,
		}
	}
	return hcl.Range{Filename: inner.Filename, Start: advance(start), End: advance(end)}
}

// literalRange is what stands between the quotes of a string without ${…}, if that is what the expression is.
func literalRange(expr hclsyntax.Expression) (inner hcl.Range, ok bool) {
	template, ok := expr.(*hclsyntax.TemplateExpr)
	if !ok || !template.IsStringLiteral() {
		return hcl.Range{}, false
	}
	inner = template.Parts[0].Range()
	return inner, inner.Start.Line == inner.End.Line // a heredoc ends on another line
}

// elementExpr is an element of a list that is written out, and else all of the expression.
func elementExpr(expr hclsyntax.Expression, key cty.Value) hclsyntax.Expression {
	if list, ok := expr.(*hclsyntax.TupleConsExpr); ok && key.Type() == cty.Number {
		if i, _ := key.AsBigFloat().Int64(); i < int64(len(list.Exprs)) {
			return list.Exprs[i]
		}
	}
	return expr
}
