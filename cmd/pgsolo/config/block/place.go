package block

import (
	"unicode/utf8"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// PartOf is the place of some bytes of a string: within its quotes if it is written out, else the whole expression.
func PartOf(expr hclsyntax.Expression, value string, start, end int) hcl.Range {
	inner, ok := LiteralRange(expr)
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

// LiteralRange is what stands between the quotes of a string without ${…}, if that is what the expression is.
func LiteralRange(expr hclsyntax.Expression) (inner hcl.Range, ok bool) {
	template, ok := expr.(*hclsyntax.TemplateExpr)
	if !ok || !template.IsStringLiteral() {
		return hcl.Range{}, false
	}
	inner = template.Parts[0].Range()
	return inner, inner.Start.Line == inner.End.Line // a heredoc ends on another line
}

// ElementExpr is an element of a list or an object that is written out, and else nil.
func ElementExpr(expr hclsyntax.Expression, key cty.Value) hclsyntax.Expression {
	switch expr := expr.(type) {
	case *hclsyntax.TupleConsExpr:
		if key.Type() != cty.Number {
			break
		}
		if i, _ := key.AsBigFloat().Int64(); i < int64(len(expr.Exprs)) {
			return expr.Exprs[i]
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range expr.Items {
			name, diags := item.KeyExpr.Value(nil)
			if !diags.HasErrors() && name.Type() == cty.String && name.RawEquals(key) {
				return item.ValueExpr
			}
		}
	}
	return nil
}

// elementRange is where an element stands, or the whole expression where the list or object is not written out.
func elementRange(expr hclsyntax.Expression, key cty.Value) hcl.Range {
	switch expr := expr.(type) {
	case *hclsyntax.TupleConsExpr:
		if key.Type() != cty.Number {
			break
		}
		if i, _ := key.AsBigFloat().Int64(); i < int64(len(expr.Exprs)) {
			return expr.Exprs[i].Range()
		}
	case *hclsyntax.ObjectConsExpr:
		for _, item := range expr.Items {
			name, diags := item.KeyExpr.Value(nil)
			if !diags.HasErrors() && name.Type() == cty.String && name.RawEquals(key) {
				return hcl.RangeBetween(item.KeyExpr.Range(), item.ValueExpr.Range())
			}
		}
	}
	return expr.Range()
}
