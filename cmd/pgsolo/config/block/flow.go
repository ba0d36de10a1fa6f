package block

import (
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// Flow follows where the value of an expression comes from, as the syntax has it and whatever the value is.
type Flow struct {
	language *Language
	in       Scope
	foreign  map[string]bool // fields of the variable that others fill in
	final    bool
}

// NewFlow is about the expressions that a decoder takes. Foreign are the fields of the variable that others fill in.
func NewFlow(d *Decoder, foreign map[string]bool) Flow {
	return Flow{d.language, d.scope, foreign, d.final}
}

// Variable is the name of the variable.
func (f Flow) Variable() string { return f.in.Name }

// Final says that the variable has its value: what depends on where values come from was checked before.
func (f Flow) Final() bool { return f.final }

// Foreign says whether a part of the value may be what others have filled in. What is only compared, or selects one of
// several values, is no part of it, and a computed number or boolean has no text of theirs.
func (f Flow) Foreign(expr hclsyntax.Expression) bool {
	switch node := expr.(type) {
	case *hclsyntax.LiteralValueExpr, *hclsyntax.BinaryOpExpr, *hclsyntax.UnaryOpExpr, *hclsyntax.AnonSymbolExpr:
		return false
	case *hclsyntax.ScopeTraversalExpr:
		return f.foreignTraversal(node.Traversal)
	case *hclsyntax.ParenthesesExpr:
		return f.Foreign(node.Expression)
	case *hclsyntax.TemplateWrapExpr:
		return f.Foreign(node.Wrapped)
	case *hclsyntax.TemplateJoinExpr:
		return f.Foreign(node.Tuple)
	case *hclsyntax.RelativeTraversalExpr:
		return f.Foreign(node.Source)
	case *hclsyntax.IndexExpr:
		return f.Foreign(node.Collection)
	case *hclsyntax.SplatExpr:
		return f.Foreign(node.Source) || f.Foreign(node.Each)
	case *hclsyntax.ConditionalExpr:
		return f.Foreign(node.TrueResult) || f.Foreign(node.FalseResult)
	case *hclsyntax.ForExpr: // whose names stand for what the collection has
		return f.Foreign(node.CollExpr) || f.Foreign(node.ValExpr) || node.KeyExpr != nil && f.Foreign(node.KeyExpr)
	case *hclsyntax.ObjectConsKeyExpr:
		return (node.ForceNonLiteral || hcl.ExprAsKeyword(node.Wrapped) == "") && f.Foreign(node.Wrapped)
	case *hclsyntax.TemplateExpr:
		return f.any(node.Parts)
	case *hclsyntax.TupleConsExpr:
		return f.any(node.Exprs)
	case *hclsyntax.FunctionCallExpr:
		return f.any(node.Args)
	case *hclsyntax.ObjectConsExpr:
		for _, item := range node.Items {
			if f.Foreign(item.KeyExpr) || f.Foreign(item.ValueExpr) {
				return true
			}
		}
		return false
	}
	return len(expr.Variables()) > 0
}

func (f Flow) any(all []hclsyntax.Expression) bool {
	for _, expr := range all {
		if f.Foreign(expr) {
			return true
		}
	}
	return false
}

func (f Flow) foreignTraversal(traversal hcl.Traversal) bool {
	if traversal.RootName() != f.in.Name {
		return false // a name of a for expression
	}
	if len(traversal) == 1 {
		return len(f.foreign) > 0
	}
	field, _, ok := FieldOf(traversal[1])
	return !ok && len(f.foreign) > 0 || f.foreign[field]
}

// Uses says whether the value is one only when the variable has one.
func (f Flow) Uses(expr hclsyntax.Expression) bool {
	for _, traversal := range expr.Variables() {
		if traversal.RootName() == f.in.Name {
			return true
		}
	}
	return false
}

// Text is a scalar as text, if it is known.
func (f Flow) Text(expr hclsyntax.Expression) (string, bool) {
	value, diags := f.language.Value(expr, f.in)
	if diags.HasErrors() {
		return "", false
	}
	value, _ = value.UnmarkDeep()
	if value, err := convert.Convert(value, cty.String); err != nil || value.IsNull() || !value.IsKnown() {
		return "", false
	}
	return f.language.text(expr, f.in)
}

// Chosen is the expression within parentheses, a conditional or try that has the value, as far as that is known.
func (f Flow) Chosen(expr hclsyntax.Expression) hclsyntax.Expression {
	return f.language.chosen(expr, f.in)
}

// Alternatives are the expressions of which one has the value: the branches of conditionals that are not decided yet,
// and the arguments of try.
func (f Flow) Alternatives(expr hclsyntax.Expression) []hclsyntax.Expression {
	switch node := f.Chosen(expr).(type) {
	case *hclsyntax.ConditionalExpr:
		return append(f.Alternatives(node.TrueResult), f.Alternatives(node.FalseResult)...)
	case *hclsyntax.FunctionCallExpr:
		if node.Name != "try" || node.ExpandFinal {
			return []hclsyntax.Expression{node}
		}
		var all []hclsyntax.Expression
		for _, argument := range node.Args {
			all = append(all, f.Alternatives(argument)...)
		}
		return all
	default:
		return []hclsyntax.Expression{node}
	}
}

// maxExpanded is how many combinations of alternatives are looked at.
const maxExpanded = 256

// Expand is every list of parts that alternatives for each part make, or nil for too many.
func (f Flow) Expand(parts []hclsyntax.Expression) [][]hclsyntax.Expression {
	all := [][]hclsyntax.Expression{nil}
	for _, part := range parts {
		var longer [][]hclsyntax.Expression
		for _, alternative := range f.Alternatives(part) {
			for _, before := range all {
				longer = append(longer, append(before[:len(before):len(before)], alternative))
			}
		}
		if all = longer; len(all) > maxExpanded {
			return nil
		}
	}
	return all
}

// Parts are those of a template, and its nested ones, in order.
func (f Flow) Parts(expr hclsyntax.Expression) []hclsyntax.Expression {
	template, ok := expr.(*hclsyntax.TemplateExpr)
	if !ok {
		return []hclsyntax.Expression{expr}
	}
	return template.Parts
}
