package config

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
)

func (doc *document) breaker(found *hclsyntax.Block, to *jobs.Breaker) block.Body {
	// The argument failures is required. Where it is missing the other two are checked all the same.
	given := jobs.Breaker{Failures: 1}
	return block.Body{
		Arguments: []block.Argument{
			{Name: "failures", Required: true, Example: "failures = 5", Value: block.Count(&given.Failures)},
			{Name: "pause", Value: block.Duration(&given.Pause, block.Positive)},
			{Name: "max_pause", Value: block.Duration(&given.MaxPause, block.Positive)},
		},
		Finish: func() {
			*to = given.WithDefaults()
			doc.checkLongest(found, "pause", to.Pause, "max_pause", to.MaxPause)
		},
	}
}
