package config

import (
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/pgsolo/pgsolo/jobs/cron"
)

// unlimited is the word for a history that is kept whole. In package jobs a negative number says so.
const unlimited = "unlimited"

// maxRuns is more than a week of a job that runs each second.
const maxRuns = 1_000_000

func (doc *document) history(to *cron.History) body {
	return body{arguments: []argument{
		{name: "runs", decode: doc.runs(&to.Runs)},
		{name: "max_age", decode: doc.age(&to.MaxAge)},
		{name: "failed_runs", decode: doc.runs(&to.FailedRuns)},
		{name: "failed_max_age", decode: doc.age(&to.FailedMaxAge)},
	}}
}

// runs takes a number of runs, or "unlimited".
func (d *decoder) runs(to *int) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		value, _ := d.evaluate(attr)
		if value == cty.NilVal || !d.usable(attr, value) || !value.IsKnown() {
			return
		}
		if value.Type() == cty.String && value.AsString() == unlimited {
			*to = -1
			return
		}
		number, err := convert.Convert(value, cty.Number)
		if err != nil || number.IsNull() {
			d.report("Wrong type", attr.Expr.Range(), "The argument %s is a number or %q.", attr.Name, unlimited)
			return
		}
		if whole(number.AsBigFloat(), maxRuns, to) {
			return
		}
		d.report("Invalid "+attr.Name, attr.Expr.Range(), "The argument %s is a whole number from 1 to %d, or %q to keep all.",
			attr.Name, maxRuns, unlimited)
	}
}

// age takes a duration, or "unlimited".
func (d *decoder) age(to *time.Duration) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		given, ok := d.durationText(attr)
		if !ok {
			return
		}
		if given.value == unlimited {
			*to = -1
			return
		}
		age, err := time.ParseDuration(given.value)
		switch {
		case err != nil && nearest(given.value, []string{unlimited}) != "":
			d.report("Invalid "+attr.Name, attr.Expr.Range(), "%s is not a duration.%s",
				given.shown(), given.hint("Did you mean %q?", unlimited))
		case err != nil:
			d.report("Invalid "+attr.Name, attr.Expr.Range(), "%s", aboutDuration(given))
		case age <= 0:
			d.report("Invalid "+attr.Name, attr.Expr.Range(), "The duration must be above zero, or %q to keep all.", unlimited)
		default:
			*to = age
		}
	}
}
