package block

import (
	"bytes"
	"encoding/json"
	"fmt"

	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// exactly is on a string that package cty has changed: it brings every string into Unicode NFC. What an argument only
// refers to has to arrive byte for byte, since the name of a file, for example, is another one in NFC. The mark goes
// along with the value, and no longer fits what is computed from it.
type exactly struct{ text string }

// StringValue is a string from elsewhere.
func StringValue(text string) cty.Value {
	value := cty.StringVal(text)
	if value.AsString() == text {
		return value
	}
	return value.Mark(exactly{text})
}

// originals are the marks of a value, by place.
type originals []cty.PathValueMarks

// text is the string at a place as it came, or as it was computed.
func (o originals) text(at cty.Path, value cty.Value) string {
	computed := value.AsString()
	var found []string
	for _, place := range o {
		if !place.Path.Equals(at) {
			continue
		}
		for mark := range place.Marks {
			if original, ok := mark.(exactly); ok && cty.StringVal(original.text).AsString() == computed {
				found = append(found, original.text)
			}
		}
	}
	if len(found) == 1 {
		return found[0]
	}
	return computed
}

// step is the place of an element of a collection at a place.
func step(at cty.Path, collection cty.Type, key cty.Value) cty.Path {
	if collection.IsObjectType() {
		return at.GetAttr(key.AsString())
	}
	return at.Index(key)
}

// json encodes a known value.
func (o originals) json(at cty.Path, value cty.Value) (json.RawMessage, error) {
	decoded, err := o.plain(at, value)
	if err != nil {
		return nil, err
	}
	var text bytes.Buffer
	encoder := json.NewEncoder(&text)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(decoded); err != nil {
		return nil, err
	}
	return bytes.TrimSpace(text.Bytes()), nil
}

// plain is the value as package json takes it.
func (o originals) plain(at cty.Path, value cty.Value) (any, error) {
	switch of := value.Type(); {
	case value.IsNull():
		return nil, nil
	case of == cty.String:
		return o.text(at, value), nil
	case of == cty.Bool:
		return value.True(), nil
	case of == cty.Number:
		digits, err := convert.Convert(value, cty.String)
		if err != nil {
			return nil, fmt.Errorf("write number: %w", err)
		}
		return json.Number(digits.AsString()), nil
	case IsList(of):
		elements := []any{}
		for key, element := range value.Elements() {
			plain, err := o.plain(step(at, of, key), element)
			if err != nil {
				return nil, err
			}
			elements = append(elements, plain)
		}
		return elements, nil
	case isObject(of):
		members := map[string]any{}
		for key, member := range value.Elements() {
			plain, err := o.plain(step(at, of, key), member)
			if err != nil {
				return nil, err
			}
			members[key.AsString()] = plain
		}
		return members, nil
	default:
		return nil, fmt.Errorf("%s cannot be written as JSON", of.FriendlyName())
	}
}
