package config

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
)

// maxRate is a limit that no handler would reach.
const maxRate = 1_000_000

var rateForm = regexp.MustCompile(`^([0-9]+)/([smh])$`)

// rate takes a string such as "100/s".
func rate(to *jobs.Rate) block.Value {
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		if literal, ok := attr.Expr.(*hclsyntax.LiteralValueExpr); ok && !literal.Val.IsNull() &&
			literal.Val.Type() == cty.Number {
			d.Report("Wrong type", attr.Expr.Range(), "A rate is a string with a unit, not a number. Did you mean %q?",
				literal.Val.AsBigFloat().Text('f', -1)+"/s")
			return
		}
		given, ok := d.Text(attr)
		if !ok {
			return
		}
		rate, problem := parseRate(given)
		if problem != "" {
			d.Report("Invalid "+attr.Name, attr.Expr.Range(), "%s", problem)
			return
		}
		*to = rate
	}
}

func parseRate(given block.Text) (rate jobs.Rate, problem string) {
	match := rateForm.FindStringSubmatch(given.Value)
	if match == nil {
		if meant := meantRate(given.Value); meant != "" {
			return rate, given.Shown() + " is not a rate." + given.Hint("Did you mean %q?", meant)
		}
		return rate, given.Shown() +
			` is not a rate. Write how many events per second, minute or hour: "100/s", "100/m", "100/h".`
	}
	events, err := strconv.Atoi(match[1])
	if err != nil || events < 1 || events > maxRate {
		return rate, fmt.Sprintf("The number of a rate is from 1 to %d.", maxRate)
	}
	per := map[string]time.Duration{"s": time.Second, "m": time.Minute, "h": time.Hour}[match[2]]
	return jobs.Rate{Events: events, Per: per}, ""
}

// meantRate guesses the rate that is meant by another form of it, or is empty.
func meantRate(given string) string {
	match := regexp.MustCompile(`^\s*([0-9]+)\s*(?:/|per|p)?\s*([a-z]*)\s*$`).FindStringSubmatch(strings.ToLower(given))
	if match == nil {
		return ""
	}
	for _, unit := range []string{"second", "minute", "hour"} {
		if strings.HasPrefix(unit+"s", match[2]) || strings.HasPrefix(match[2], unit[:1]) &&
			block.Nearest(match[2], []string{unit[:3]}) != "" {
			return match[1] + "/" + unit[:1] // without a unit: per second
		}
	}
	return ""
}
