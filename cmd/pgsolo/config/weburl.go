package config

import (
	"net/url"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

// webURL takes the URL of a request. Its scheme, user, host and port are decided when the configuration is loaded, so
// that no event sends a token elsewhere. Behind them, what a template has of an event is encoded, unless it is of raw()
// or urlencode(), and none of it leads out of the folder where it stands. What is written stays as it is written.
func webURL(to *string) block.Value {
	constant := block.String(to, checkWebURL)
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		flow := flowOf(d)
		switch {
		case !flow.Uses(attr.Expr):
			constant(d, attr)
		case flow.Final():
			buildURL(d, flow, attr, to)
		default:
			before := d.Mistakes()
			if _, _ = d.Text(attr); d.Mistakes() > before {
				return
			}
			for _, alternative := range flow.Alternatives(attr.Expr) {
				checkTemplate(d, flow, attr, alternative, to)
			}
		}
	}
}

// buildURL makes the URL of an event or a run.
func buildURL(d *block.Decoder, flow block.Flow, attr *hclsyntax.Attribute, to *string) {
	if _, ok := d.Text(attr); !ok {
		return
	}
	var built strings.Builder
	writeURL(&built, flow, attr.Expr)
	problem := checkWebURL(block.Text{Value: built.String(), Hidden: true})
	if climbs(built.String()) {
		problem = "A value makes a segment . or .. of the path, which leads to another place than the URL says."
	}
	if problem != "" {
		d.Report("Invalid "+attr.Name, attr.Expr.Range(), "%s", problem)
		block.ForGood(d)
		return
	}
	*to = built.String()
}

func writeURL(to *strings.Builder, flow block.Flow, expr hclsyntax.Expression) {
	expr = flow.Chosen(expr)
	if template, ok := expr.(*hclsyntax.TemplateExpr); ok {
		for _, part := range template.Parts {
			writeURL(to, flow, part)
		}
		return
	}
	text, _ := flow.Text(expr)
	if flow.Uses(expr) && !isEncoded(expr) {
		text = block.EncodeURL(text)
	}
	to.WriteString(text)
}

func isEncoded(expr hclsyntax.Expression) bool {
	call, ok := expr.(*hclsyntax.FunctionCallExpr)
	return ok && (call.Name == "raw" || call.Name == "urlencode")
}

// climbs says whether a segment of the path leads to the folder that it is in, or to the one above. Some receivers take
// an encoded slash for a slash, and end a segment at a semicolon.
func climbs(text string) bool {
	parsed, err := url.Parse(text)
	if err != nil {
		return false // which is a mistake of its own
	}
	isSeparator := func(r rune) bool { return r == '/' || r == '\\' }
	return slices.ContainsFunc(strings.FieldsFunc(parsed.Path, isSeparator), func(segment string) bool {
		segment, _, _ = strings.Cut(segment, ";")
		return segment == "." || segment == ".."
	})
}

const ownHost = "The scheme and the host of a URL are decided when the configuration is loaded: write them out, " +
	"up to " +
	"the slash behind the host, as in \"https://example.com/${event.key}\". Where there are several, use a conditional."

// checkTemplate reports what is wrong with a URL that is not known yet, and gives one that is like it.
func checkTemplate(d *block.Decoder, flow block.Flow, attr *hclsyntax.Attribute, expr hclsyntax.Expression,
	to *string) {
	all := flow.Expand(flow.Parts(expr))
	if all == nil {
		d.Report("Invalid "+attr.Name, expr.Range(), "It has too many alternatives. Make several handlers of it.")
		return
	}
	for _, parts := range all {
		sample := sample{flow: flow}
		sample.add(parts)
		_, rest, _ := strings.Cut(sample.fixed, "://")
		if sample.ended && !strings.ContainsAny(rest, "/?#") {
			d.Report("Invalid "+attr.Name, expr.Range(), "%s", ownHost)
			return
		}
		problem := checkWebURL(block.Text{Value: sample.text, Hidden: d.Conceals(attr.Name)})
		if problem == "" && climbs(sample.text) {
			problem = "The path has a segment . or .., beside values that are not known yet. Write where it leads."
		}
		if problem != "" {
			d.Report("Invalid "+attr.Name, expr.Range(), "%s", problem)
			return
		}
		*to = sample.text
	}
}

// sample is a URL with a letter in the place of each value that is not known yet.
type sample struct {
	flow  block.Flow
	text  string
	fixed string // up to the first of those
	ended bool   // there is one
}

func (s *sample) add(parts []hclsyntax.Expression) {
	for _, part := range parts {
		if template, ok := part.(*hclsyntax.TemplateExpr); ok {
			s.add(template.Parts)
			continue
		}
		text, known := "x", false
		if !s.flow.Uses(part) {
			text, known = s.flow.Text(part)
		}
		s.ended = s.ended || !known
		if !s.ended {
			s.fixed += text
		}
		s.text += text
	}
}
