package block

import (
	"regexp"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// polish replaces HCL's frame around an error of one of the functions, and drops the values that HCL's own writer would
// print, and those that are quoted in the detail.
func (l *Language) polish(diag *hcl.Diagnostic, within hclsyntax.Expression) *hcl.Diagnostic {
	polished := &hcl.Diagnostic{Severity: diag.Severity, Summary: diag.Summary, Subject: diag.Subject}
	if expr, ok := diag.Expression.(hclsyntax.Expression); ok && diag.Subject != nil &&
		expr.Range().Start == diag.Subject.Start {
		polished.Subject = expr.Range().Ptr() // HCL underlines only the beginning of a function's argument
	}
	if extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](diag); ok {
		if failure, ok := extra.FunctionCallError().(*callError); ok {
			polished.Summary, polished.Detail = failure.summary, failure.detail
			if call, ok := diag.Expression.(*hclsyntax.FunctionCallExpr); ok {
				polished.Subject = call.Range().Ptr()
			}
			return polished
		}
	}
	polished.Detail = l.discreet(diag.Detail, within)
	return polished
}

var (
	quoted = regexp.MustCompile(`"(?:[^"\\]|\\.)*"`)

	// What a function says of what it was called with may have any part of it.
	ofFunction = regexp.MustCompile(`^Call to function ("[^"]*")[^:]*: `)
)

// discreet is the detail of a mistake without values: what is quoted in it is a name that the expression has, or is not
// shown.
func (l *Language) discreet(detail string, within hclsyntax.Expression) string {
	names := map[string]bool{}
	computes := false
	_ = hclsyntax.VisitAll(within, func(node hclsyntax.Node) hcl.Diagnostics {
		switch node := node.(type) {
		case *hclsyntax.FunctionCallExpr:
			names[node.Name] = true
			computes = computes || node.Name == "env" || node.Name == "file"
			function, ok := l.functions[node.Name]
			if !ok {
				break
			}
			for _, parameter := range function.Params() {
				names[parameter.Name] = true
			}
			if more := function.VarParam(); more != nil {
				names[more.Name] = true
			}
		case *hclsyntax.ScopeTraversalExpr:
			addNames(names, node.Traversal)
			computes = true
		case *hclsyntax.RelativeTraversalExpr:
			addNames(names, node.Traversal)
		}
		return nil
	})
	if match := ofFunction.FindStringSubmatch(detail); match != nil && computes && match[1] != `"try"` {
		detail = strings.TrimSuffix(match[0], ": ") + ". What it was called with is not shown: it may be secret."
	}
	return quoted.ReplaceAllStringFunc(detail, func(text string) string {
		if names[strings.Trim(text, `"`)] {
			return text
		}
		return "(not shown)"
	})
}

func addNames(names map[string]bool, traversal hcl.Traversal) {
	for _, step := range traversal {
		switch step := step.(type) {
		case hcl.TraverseRoot:
			names[step.Name] = true
		case hcl.TraverseAttr:
			names[step.Name] = true
		}
	}
}
