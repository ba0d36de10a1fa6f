package config

import (
	"fmt"
	"math/big"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// The methods here and in durations.go and collections.go each make the decode function of an argument. The value goes to
// the pointer only if it is right; one that is not known before an event arrives is left alone.

// text takes a string in which check finds no problem.
func (d *decoder) text(to *string, check func(text) string) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		given, ok := d.getString(attr)
		if !ok {
			return
		}
		if problem := check(given); problem != "" {
			d.report("Invalid "+attr.Name, attr.Expr.Range(), "%s", problem)
			return
		}
		*to = given.value
	}
}

// notEmpty is the check of a string that may be anything else.
func notEmpty(given text) string {
	if given.value == "" {
		return "The value is empty."
	}
	return ""
}

// oneOf is the check of a string that is one of a few words.
func oneOf(words ...string) func(text) string {
	return func(given text) string {
		if slices.Contains(words, given.value) {
			return ""
		}
		return fmt.Sprintf("%s is not one of the values.%s", given.shown(), didYouMean(given.value, words))
	}
}

// number evaluates an argument that is a number. A string of digits is one too, since env gives strings.
func (d *decoder) number(attr *hclsyntax.Attribute) (*big.Float, bool) {
	value, _ := d.evaluate(attr)
	if value == cty.NilVal || !d.usable(attr, value) {
		return nil, false
	}
	number, err := convert.Convert(value, cty.Number)
	if err != nil || number.IsNull() || !number.IsKnown() {
		d.report("Wrong type", attr.Expr.Range(), "The argument %s is a number, not %s.", attr.Name, article(value.Type()))
		return nil, false
	}
	return number.AsBigFloat(), true
}

// whole takes a whole number from 1 to most.
func whole(number *big.Float, most int64, to *int) bool {
	n, accuracy := number.Int64()
	ok := accuracy == big.Exact && n >= 1 && n <= most
	if ok {
		*to = int(n)
	}
	return ok
}

// count takes a whole number of at least 1.
func (d *decoder) count(to *int) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		number, ok := d.number(attr)
		if !ok || whole(number, maxCount, to) {
			return
		}
		d.report("Invalid "+attr.Name, attr.Expr.Range(), "The argument %s is a whole number from 1 to %d.", attr.Name, maxCount)
	}
}

// fraction takes a number from 0 up to, not including, 1.
func (d *decoder) fraction(to *float64) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		number, ok := d.number(attr)
		if !ok {
			return
		}
		if f, _ := number.Float64(); f >= 0 && f < 1 {
			*to = f
			return
		}
		d.report("Invalid "+attr.Name, attr.Expr.Range(), "The argument %s is a fraction: at least 0, and below 1.", attr.Name)
	}
}

// boolean takes true or false. The strings "true" and "false" are such too, since env gives strings.
func (d *decoder) boolean(to *bool) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		if meant, ok := meantBoolean(attr.Expr); ok {
			d.report("Wrong type", attr.Expr.Range(), "The argument %s is true or false. Did you mean %s = %t?", attr.Name, attr.Name, meant)
			return
		}
		value, _ := d.evaluate(attr)
		if value == cty.NilVal || !d.usable(attr, value) {
			return
		}
		given, err := convert.Convert(value, cty.Bool)
		if err != nil || given.IsNull() || !given.IsKnown() {
			d.report("Wrong type", attr.Expr.Range(), "The argument %s is true or false, not %s.", attr.Name, article(value.Type()))
			return
		}
		*to = given.True()
	}
}

// meantBoolean knows the words that other formats have for true and false, with quotes or without.
func meantBoolean(expr hclsyntax.Expression) (meant, ok bool) {
	word := hcl.ExprAsKeyword(expr)
	if template, ok := expr.(*hclsyntax.TemplateExpr); ok && template.IsStringLiteral() {
		if value, diags := template.Value(nil); !diags.HasErrors() {
			word = value.AsString()
		}
	}
	meant, ok = map[string]bool{"on": true, "yes": true, "off": false, "no": false}[strings.ToLower(word)]
	return meant, ok
}

// maxCount is more than anybody means by a concurrency or a number of attempts.
const maxCount = 10_000
