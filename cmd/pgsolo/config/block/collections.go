package block

import (
	"fmt"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// NotKnown has the place of an element that is not known yet.
const NotKnown = "(not known yet)"

// Strings takes a list of strings. Its elements may be numbers or booleans too, as in ["--id", event.id]. Those that
// are not known yet are NotKnown, so that the others can be checked.
func Strings(to *[]string, check func([]string) string) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		value, ok := d.collection(attr, "a list of strings", IsList)
		if !ok {
			return
		}
		elements := []string{}
		if !d.elements(attr, value, func(_, element string) { elements = append(elements, element) }) {
			return
		}
		if problem := check(elements); problem != "" {
			d.Report("Invalid "+attr.Name, attr.Expr.Range(), "%s", problem)
			return
		}
		*to = elements
	}
}

// StringMap takes an object of strings, with the same freedom for its values. The check sees each name.
func StringMap(to *map[string]string, check func(name string) string) Value {
	return func(d *Decoder, attr *hclsyntax.Attribute) {
		value, ok := d.collection(attr, "an object of strings", isObject)
		if !ok {
			return
		}
		if value.Type().IsObjectType() { // its names are known even where values are not
			for name := range value.Type().AttributeTypes() {
				if problem := check(name); problem != "" {
					d.Report("Invalid "+attr.Name, elementRange(attr.Expr, cty.StringVal(name)), "%s", problem)
				}
			}
		}
		elements := map[string]string{}
		if d.elements(attr, value, func(name, element string) { elements[name] = element }) {
			*to = elements
		}
	}
}

// IsList says that a value of this type has elements in an order, or is a set.
func IsList(t cty.Type) bool   { return t.IsTupleType() || t.IsListType() || t.IsSetType() }
func isObject(t cty.Type) bool { return t.IsObjectType() || t.IsMapType() }

// collection evaluates a list or an object. It is not ok where something is wrong, or not known yet.
func (d *Decoder) collection(attr *hclsyntax.Attribute, wanted string, is func(cty.Type) bool) (cty.Value, bool) {
	value, _ := d.Evaluate(attr)
	if value == cty.NilVal || !d.Usable(attr, value) || value.Type() == cty.DynamicPseudoType {
		return cty.NilVal, false
	}
	if !is(value.Type()) {
		d.Report("Wrong type", attr.Expr.Range(), "The argument %s is %s, not %s.", attr.Name, wanted,
			Article(value.Type()))
		return cty.NilVal, false
	}
	return value, value.IsKnown()
}

// elements gives each element to yield, by its key or index, and says whether all of them were right, or may
// be: those that are not known yet are NotKnown.
func (d *Decoder) elements(attr *hclsyntax.Attribute, collection cty.Value,
	yield func(key, element string)) (right bool) {
	right = true
	for key, element := range collection.Elements() {
		str, err := convert.Convert(element, cty.String)
		switch {
		case element.IsNull():
			d.Report("Missing value", elementRange(attr.Expr, key), "An element of %s must not be null.", attr.Name)
			right = false
		case err != nil:
			d.Report("Wrong type", elementRange(attr.Expr, key),
				"An element of %s is a string, not %s.", attr.Name, Article(element.Type()))
			right = false
		case !str.IsKnown():
			yield(keyText(key), NotKnown)
		default:
			yield(keyText(key), d.elementText(attr.Expr, step(nil, collection.Type(), key), key, element))
		}
	}
	return right
}

func keyText(key cty.Value) string {
	if key.Type() == cty.String {
		return key.AsString()
	}
	return fmt.Sprint(key.AsBigFloat())
}
