package block

import (
	"encoding/json"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
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
			value, err := d.parameter(attr.Expr, step(nil, list.Type(), key), key, element)
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

// parameter is the value of an element at a place, nil for one that is not known.
func (d *Decoder) parameter(list hclsyntax.Expression, at cty.Path, key, value cty.Value) (any, error) {
	switch {
	case value.IsNull() || !value.IsWhollyKnown():
		return nil, nil
	case value.Type() == cty.String:
		return d.elementText(list, at, key, value), nil
	case value.Type() == cty.Number:
		return json.Number(d.elementText(list, at, key, value)), nil
	case value.Type() == cty.Bool:
		return value.True(), nil
	}
	if raw, ok := d.language.rawElement(list, key, d.scope); ok {
		return raw, nil
	}
	return d.originals.json(at, value)
}
