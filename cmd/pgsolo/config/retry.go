package config

import (
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
)

func (doc *document) retry(found *hclsyntax.Block, to *jobs.Retry) block.Body {
	var given jobs.Retry
	return block.Body{
		Arguments: []block.Argument{
			{Name: "attempts", Value: block.Count(&given.Attempts)},
			{Name: "backoff", Value: block.Duration(&given.Backoff, block.Positive)},
			{Name: "max_backoff", Value: block.Duration(&given.MaxBackoff, block.Positive)},
			{Name: "jitter", Value: jitter(&given.Jitter)},
		},
		Finish: func() {
			*to = given.WithDefaults()
			doc.checkLongest(found, "backoff", to.Backoff, "max_backoff", to.MaxBackoff)
		},
	}
}

// jitter takes a fraction. For package jobs a negative number is none.
func jitter(to *float64) block.Value {
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		given := -1.0
		if block.Fraction(&given)(d, attr); given == 0 {
			*to = -1
		} else if given > 0 {
			*to = given
		}
	}
}

// checkLongest refuses a longest wait below the first one. The default follows the first one.
func (doc *document) checkLongest(
	found *hclsyntax.Block, firstName string, first time.Duration, name string, longest time.Duration,
) {
	limit, ok := found.Body.Attributes[name]
	if !ok || longest >= first {
		return
	}
	diag := doc.Report("Invalid "+name, limit.Expr.Range(),
		"The longest wait, %s, is shorter than the first one, %s.", longest, first)
	if attr, ok := found.Body.Attributes[firstName]; ok {
		diag.Extra = block.Related("the first wait", attr.Expr.Range())
	}
}
