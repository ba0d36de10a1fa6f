package config

import (
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/cron"
)

// unlimited is the word for a history that is kept whole. In package jobs a negative number says so.
const unlimited = "unlimited"

// maxRuns is more than a week of a job that runs each second.
const maxRuns = 1_000_000

func history(to *cron.History) block.Body {
	return block.Body{Arguments: []block.Argument{
		{Name: "runs", Value: runs(&to.Runs)},
		{Name: "max_age", Value: age(&to.MaxAge)},
		{Name: "failed_runs", Value: runs(&to.FailedRuns)},
		{Name: "failed_max_age", Value: age(&to.FailedMaxAge)},
	}}
}

// runs takes a number of runs, or "unlimited".
func runs(to *int) block.Value {
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		value, _ := d.Evaluate(attr)
		if value == cty.NilVal || !d.Usable(attr, value) || !value.IsKnown() {
			return
		}
		if value.Type() == cty.String && value.AsString() == unlimited {
			*to = -1
			return
		}
		number, err := convert.Convert(value, cty.Number)
		if err != nil || number.IsNull() {
			d.Report("Wrong type", attr.Expr.Range(), "The argument %s is a number or %q.", attr.Name, unlimited)
			return
		}
		if block.Whole(number.AsBigFloat(), maxRuns, to) {
			return
		}
		d.Report("Invalid "+attr.Name, attr.Expr.Range(),
			"The argument %s is a whole number from 1 to %d, or %q to keep all.",
			attr.Name, maxRuns, unlimited)
	}
}

// age takes a duration, or "unlimited".
func age(to *time.Duration) block.Value {
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		given, ok := d.DurationText(attr)
		if !ok {
			return
		}
		if given.Value == unlimited {
			*to = -1
			return
		}
		age, err := time.ParseDuration(given.Value)
		switch {
		case err != nil && block.Nearest(given.Value, []string{unlimited}) != "":
			d.Report("Invalid "+attr.Name, attr.Expr.Range(), "%s is not a duration.%s",
				given.Shown(), given.Hint("Did you mean %q?", unlimited))
		case err != nil:
			d.Report("Invalid "+attr.Name, attr.Expr.Range(), "%s", block.AboutDuration(given))
		case age <= 0:
			d.Report("Invalid "+attr.Name, attr.Expr.Range(), "The duration must be above zero, or %q to keep all.",
				unlimited)
		default:
			*to = age
		}
	}
}
