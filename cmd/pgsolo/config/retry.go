package config

import (
	"time"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/jobs"
)

func (doc *document) retry(found *hclsyntax.Block, to *jobs.Retry) body {
	return body{
		arguments: []argument{
			{name: "attempts", decode: doc.count(&to.Attempts)},
			{name: "backoff", decode: doc.duration(&to.Backoff, positive)},
			{name: "max_backoff", decode: doc.duration(&to.MaxBackoff, positive)},
			{name: "jitter", decode: doc.fraction(&to.Jitter)},
		},
		finish: func() {
			doc.checkLongest(found, "backoff", to.Backoff, "max_backoff", &to.MaxBackoff)
			if to.Jitter == 0 {
				to.Jitter = -1 // which is how jobs is told of none
			}
		},
	}
}

func (doc *document) breaker(found *hclsyntax.Block, to *jobs.Breaker) body {
	to.Pause, to.MaxPause = time.Second, time.Minute
	return body{
		arguments: []argument{
			{name: "failures", required: true, example: "failures = 5", decode: doc.count(&to.Failures)},
			{name: "pause", decode: doc.duration(&to.Pause, positive)},
			{name: "max_pause", decode: doc.duration(&to.MaxPause, positive)},
		},
		finish: func() { doc.checkLongest(found, "pause", to.Pause, "max_pause", &to.MaxPause) },
	}
}

// checkLongest refuses a longest wait below the first one. A default that is shorter follows: nobody asked for it.
func (doc *document) checkLongest(found *hclsyntax.Block, firstName string, first time.Duration, name string, longest *time.Duration,
) {
	limit, ok := found.Body.Attributes[name]
	switch {
	case *longest >= first:
	case !ok:
		*longest = first
	default:
		diag := doc.report("Invalid "+name, limit.Expr.Range(),
			"The longest wait, %s, is shorter than the first one, %s.", *longest, first)
		if attr, ok := found.Body.Attributes[firstName]; ok {
			diag.Extra = related{"the first wait", attr.Expr.Range()}
		}
	}
}
