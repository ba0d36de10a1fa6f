package config

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// hiddenMark is on every value that comes from env or file, and on all that is computed from one: it must not be printed.
type hiddenMark struct{}

// evaluate gives the value of an argument, without marks. It is cty.NilVal where something was wrong, which is then reported.
// It may be null, and it is not wholly known where the expression uses the variable of the scope and the file is only loaded.
func (d *decoder) evaluate(attr *hclsyntax.Attribute) (value cty.Value, hidden bool) {
	if d.refuseNames(attr.Expr) {
		return cty.NilVal, false
	}
	context := &hcl.EvalContext{Functions: d.functions, Variables: map[string]cty.Value{}}
	if d.scope.name != "" {
		context.Variables[d.scope.name] = d.scope.value
	}
	value, diags := attr.Expr.Value(context)
	if diags.HasErrors() {
		for _, diag := range diags {
			*d.diags = append(*d.diags, polish(diag))
		}
		return cty.NilVal, false
	}
	value, marks := value.UnmarkDeep()
	if !value.IsWhollyKnown() {
		d.late = true
	}
	hidden = d.hidden || len(marks) > 0
	if hidden && d.concealed != nil {
		d.concealed[attr.Name] = true
	}
	return value, hidden
}

// polish replaces HCL's frame around an error of one of our functions, and drops the values that HCL's own writer would print.
func polish(diag *hcl.Diagnostic) *hcl.Diagnostic {
	polished := &hcl.Diagnostic{Severity: diag.Severity, Summary: diag.Summary, Detail: diag.Detail, Subject: diag.Subject}
	if expr, ok := diag.Expression.(hclsyntax.Expression); ok && diag.Subject != nil && expr.Range().Start == diag.Subject.Start {
		polished.Subject = expr.Range().Ptr() // HCL underlines only the beginning of a function's argument
	}
	if extra, ok := hcl.DiagnosticExtra[hclsyntax.FunctionCallDiagExtra](diag); ok {
		if failure, ok := extra.FunctionCallError().(*callError); ok {
			polished.Summary, polished.Detail = failure.summary, failure.detail
			if call, ok := diag.Expression.(*hclsyntax.FunctionCallExpr); ok {
				polished.Subject = call.Range().Ptr()
			}
		}
	}
	return polished
}

// text is a string and whether it may be printed.
type text struct {
	value  string
	hidden bool
}

// shown begins a sentence about the value.
func (t text) shown() string {
	if t.hidden {
		return "The value (not shown: it may be secret)"
	}
	return fmt.Sprintf("%q", t.value)
}

// hint is a sentence that repeats the value or a part of it, left out where the value may not be printed.
func (t text) hint(format string, args ...any) string {
	if t.hidden {
		return ""
	}
	return " " + fmt.Sprintf(format, args...)
}

// getString evaluates a string argument. A number is refused: where a string is wanted it is mostly a duration without a unit.
func (d *decoder) getString(attr *hclsyntax.Attribute) (text, bool) {
	value, hidden := d.evaluate(attr)
	if value == cty.NilVal || !d.usable(attr, value) {
		return text{}, false
	}
	if value.Type() != cty.String && value.Type() != cty.DynamicPseudoType {
		d.report("Wrong type", attr.Expr.Range(), "The argument %s is a string, not %s.", attr.Name, article(value.Type()))
		return text{}, false
	}
	if !value.IsKnown() {
		return text{}, false
	}
	return text{value.AsString(), hidden}, true
}

// usable refuses null: to leave an argument out, one leaves it out.
func (d *decoder) usable(attr *hclsyntax.Attribute, value cty.Value) bool {
	if value.IsNull() {
		d.report("Missing value", attr.Expr.Range(),
			"The argument %s must not be null. Leave the line out for the default.", attr.Name)
	}
	return !value.IsNull()
}

// article names a type in the middle of a sentence.
func article(t cty.Type) string {
	switch {
	case t == cty.Number:
		return "a number"
	case t == cty.String:
		return "a string"
	case t == cty.Bool:
		return "a boolean"
	case t.IsTupleType() || t.IsListType() || t.IsSetType():
		return "a list"
	case t.IsObjectType() || t.IsMapType():
		return "an object"
	default:
		return "this"
	}
}
