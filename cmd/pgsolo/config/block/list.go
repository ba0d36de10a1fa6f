package block

import (
	"encoding/json"
	"fmt"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"
)

// List takes a list whose elements may be anything, null too: scalars as they are, numbers as json.Number, lists and
// objects as json.RawMessage. Elements that are not known yet have their places, so that they can be counted: nothing
// waits for them.
func List(to *[]any) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		late := d.late
		list, ok := d.collection(attr, "a list of values", IsList)
		if !ok {
			return
		}
		d.late = late
		values := []any{}
		for key, element := range list.Elements() {
			value, err := parameter(element)
			if err != nil {
				d.Report("Invalid "+attr.Name, elementRange(attr.Expr, key), "An element of %s cannot be a parameter.",
					attr.Name)
				return
			}
			values = append(values, value)
		}
		*to = values
	}
}

// parameter is the value of an element, nil for one that is not known.
func parameter(value cty.Value) (any, error) {
	switch {
	case value.IsNull() || !value.IsWhollyKnown():
		return nil, nil
	case value.Type() == cty.String:
		return value.AsString(), nil
	case value.Type() == cty.Bool:
		return value.True(), nil
	case value.Type() == cty.Number:
		digits, err := convert.Convert(value, cty.String)
		if err != nil {
			return nil, fmt.Errorf("write number: %w", err)
		}
		return json.Number(digits.AsString()), nil
	}
	text, err := ctyjson.Marshal(value, value.Type())
	return json.RawMessage(text), err
}
