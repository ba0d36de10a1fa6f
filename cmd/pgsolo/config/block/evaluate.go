package block

import (
	"errors"
	"fmt"
	"slices"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/mask"
)

// hiddenMark is on every value that comes from env or file, and on all that is computed from one: it stays out of
// messages.
type hiddenMark struct{}

// TooLarge says what is wrong with a value that is unknown when everything should be known.
const TooLarge = "The payload has more values than an expression may take."

// Failures of an evaluation that another try cannot help.
var (
	ErrTooLarge = errors.New("payload too large for an expression")
	ErrRefused  = errors.New("value refused")
)

// ForGood says of what was reported that it is the same with each try.
func ForGood(d *Decoder) { d.forGood = ErrRefused }

// Evaluate gives the value of an argument, without marks. It is cty.NilVal where something was wrong, which is then
// reported. It may be null, and it is not wholly known where the expression uses the variable of the scope and the file
// is only loaded.
func (d *Decoder) Evaluate(attr *hclsyntax.Attribute) (value cty.Value, hidden bool) {
	if d.refuseNames(attr.Expr) {
		return cty.NilVal, false
	}
	value, diags := d.language.Value(attr.Expr, d.scope)
	if diags.HasErrors() {
		*d.diags = append(*d.diags, diags...)
		return cty.NilVal, false
	}
	value, d.originals = value.UnmarkDeepWithPaths()
	if !value.IsWhollyKnown() && d.final {
		d.forGood = ErrTooLarge
		d.Report("Too many values", attr.Expr.Range(), "%s", TooLarge)
		return cty.NilVal, false
	}
	if !value.IsWhollyKnown() {
		d.late = true
		if d.waiting != nil {
			d.waiting[attr.Name] = true
		}
	}
	hidden = d.hidden || slices.ContainsFunc(d.originals, func(place cty.PathValueMarks) bool {
		_, is := place.Marks[hiddenMark{}]
		return is
	})
	if hidden && d.concealed != nil {
		d.concealed[attr.Name] = true
	}
	return value, hidden
}

// Text is a string and whether it has to stay out of messages.
type Text struct {
	Value  string
	Hidden bool
}

// Shown begins a sentence about the value.
func (t Text) Shown() string {
	if t.Hidden || mask.Looks(t.Value) {
		return "The value (not shown: it may be secret)"
	}
	return fmt.Sprintf("%q", t.Value)
}

// Hint is a sentence that repeats the value or a part of it, left out where the value may not be printed.
func (t Text) Hint(format string, args ...any) string {
	if t.Hidden || mask.Looks(t.Value) {
		return ""
	}
	return " " + fmt.Sprintf(format, args...)
}

// Text evaluates a string argument. A number is refused: it is mostly a duration without a unit.
func (d *Decoder) Text(attr *hclsyntax.Attribute) (Text, bool) {
	value, hidden := d.Evaluate(attr)
	if value == cty.NilVal || !d.Usable(attr, value) {
		return Text{}, false
	}
	if value.Type() != cty.String && value.Type() != cty.DynamicPseudoType {
		d.Report("Wrong type", attr.Expr.Range(), "The argument %s is a string, not %s.", attr.Name,
			Article(value.Type()))
		return Text{}, false
	}
	if !value.IsKnown() {
		return Text{}, false
	}
	text, ok := d.language.text(attr.Expr, d.scope)
	if !ok {
		text = d.originals.text(nil, value)
	}
	return Text{text, hidden}, true
}

// Usable refuses null: to leave an argument out, one leaves it out.
func (d *Decoder) Usable(attr *hclsyntax.Attribute, value cty.Value) bool {
	if value.IsNull() {
		d.Report("Missing value", attr.Expr.Range(),
			"The argument %s must not be null. Leave the line out for the default.", attr.Name)
	}
	return !value.IsNull()
}

// Article names a type in the middle of a sentence.
func Article(t cty.Type) string {
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
