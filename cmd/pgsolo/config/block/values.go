package block

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

// String takes a string in which check finds no problem.
func String[T ~string](to *T, check func(Text) string) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		given, ok := d.Text(attr)
		if !ok {
			return
		}
		if problem := check(given); problem != "" {
			d.Report("Invalid "+attr.Name, attr.Expr.Range(), "%s", problem)
			return
		}
		*to = T(given.Value)
	}
}

// NotEmpty is the check of a string that may be anything else.
func NotEmpty(given Text) string {
	if given.Value == "" {
		return "The value is empty."
	}
	return ""
}

// Word takes a string that is one of a few words.
func Word[T ~string](to *T, words ...T) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		known := make([]string, len(words))
		for i, word := range words {
			known[i] = string(word)
		}
		String(to, func(given Text) string {
			if slices.Contains(known, given.Value) {
				return ""
			}
			return fmt.Sprintf("%s is not one of the values.%s", given.Shown(), didYouMean(given.Value, known))
		})(d, attr)
	}
}

// number evaluates an argument that is a number. A string of digits is one too, since env gives strings.
func (d *Decoder) number(attr *hclsyntax.Attribute) (*big.Float, bool) {
	value, _ := d.Evaluate(attr)
	if value == cty.NilVal || !d.Usable(attr, value) {
		return nil, false
	}
	number, err := convert.Convert(value, cty.Number)
	if err != nil || number.IsNull() || !number.IsKnown() {
		d.Report("Wrong type", attr.Expr.Range(), "The argument %s is a number, not %s.", attr.Name,
			Article(value.Type()))
		return nil, false
	}
	return number.AsBigFloat(), true
}

// Whole takes a whole number from 1 to most.
func Whole(number *big.Float, most int64, to *int) bool {
	n, accuracy := number.Int64()
	ok := accuracy == big.Exact && n >= 1 && n <= most
	if ok {
		*to = int(n)
	}
	return ok
}

// Count takes a whole number of at least 1.
func Count(to *int) Value { return AtLeast(1, to) }

// AtLeast takes a whole number that is not less than that.
func AtLeast(least int, to *int) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		number, ok := d.number(attr)
		if !ok {
			return
		}
		var n int
		if Whole(number, maxCount, &n) && n >= least {
			*to = n
			return
		}
		d.Report("Invalid "+attr.Name, attr.Expr.Range(), "The argument %s is a whole number from %d to %d.", attr.Name,
			least, maxCount)
	}
}

// Fraction takes a number from 0 up to, not including, 1.
func Fraction(to *float64) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		number, ok := d.number(attr)
		if !ok {
			return
		}
		if f, _ := number.Float64(); f >= 0 && f < 1 {
			*to = f
			return
		}
		d.Report("Invalid "+attr.Name, attr.Expr.Range(), "The argument %s is a fraction: at least 0, and below 1.",
			attr.Name)
	}
}

// Boolean takes true or false. The strings "true" and "false" are such too, since env gives strings.
func Boolean(to *bool) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		if meant, ok := meantBoolean(attr.Expr); ok {
			d.Report("Wrong type", attr.Expr.Range(), "The argument %s is true or false. Did you mean %s = %t?",
				attr.Name, attr.Name, meant)
			return
		}
		value, _ := d.Evaluate(attr)
		if value == cty.NilVal || !d.Usable(attr, value) {
			return
		}
		given, err := convert.Convert(value, cty.Bool)
		if err != nil || given.IsNull() || !given.IsKnown() {
			d.Report("Wrong type", attr.Expr.Range(), "The argument %s is true or false, not %s.", attr.Name,
				Article(value.Type()))
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

// maxCount is more than any concurrency or number of attempts needs.
const maxCount = 10_000
