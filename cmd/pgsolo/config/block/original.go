package block

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
)

// elementText is a scalar element of a list or an object as it came, or as it was computed.
func (d *Decoder) elementText(collection hclsyntax.Expression, at cty.Path, key, element cty.Value) string {
	if expr := d.language.element(collection, key, d.scope); expr != nil {
		if text, ok := d.language.text(expr, d.scope); ok {
			return text
		}
	} else if raw, ok := d.language.rawElement(collection, key, d.scope); ok {
		if text, ok := textOf(raw); ok && isText(text, element) {
			return text
		}
	}
	if plain, err := d.originals.plain(at, element); err == nil {
		return fmt.Sprint(plain)
	}
	return ""
}

// rawElement is an element of a collection that is a part of a payload.
func (l *Language) rawElement(collection hclsyntax.Expression, key cty.Value, in Scope) (json.RawMessage, bool) {
	if expr := l.element(collection, key, in); expr != nil {
		return l.raw(expr, in)
	}
	raw, ok := l.raw(collection, in)
	if !ok {
		return nil, false
	}
	return member(raw, key)
}

func (l *Language) element(collection hclsyntax.Expression, key cty.Value, in Scope) hclsyntax.Expression {
	return ElementExpr(l.chosen(collection, in), key)
}

// isText says whether a scalar is that text, but for its normal form.
func isText(text string, value cty.Value) bool {
	if value.Type() == cty.Number {
		number, err := cty.ParseNumberVal(text)
		return err == nil && number.RawEquals(value)
	}
	str, err := convert.Convert(value, cty.String)
	return err == nil && !str.IsNull() && str.IsKnown() && cty.StringVal(text).AsString() == str.AsString()
}

// text is that of an expression that computes nothing: a literal as it stands in the file, a part of a payload as its
// bytes are, and a template of such. The value of the expression is in Unicode NFC, and its numbers have lost their
// zeros. Each part is compared with its value.
func (l *Language) text(expr hclsyntax.Expression, in Scope) (string, bool) {
	expr = l.chosen(expr, in)
	switch node := expr.(type) {
	case *hclsyntax.TemplateExpr:
		var all strings.Builder
		for _, part := range node.Parts {
			text, ok := l.text(part, in)
			if !ok {
				return "", false
			}
			all.WriteString(text)
		}
		return all.String(), true
	case *hclsyntax.LiteralValueExpr:
		if node.Val.Type() == cty.String && node.Val.IsKnown() && !node.Val.IsNull() {
			return l.literal(node)
		}
	case *hclsyntax.FunctionCallExpr:
		if node.Name == "jsonencode" && len(node.Args) == 1 && !node.ExpandFinal {
			if raw, ok := l.raw(node.Args[0], in); ok {
				return string(raw), true
			}
		}
		if of := map[string]func(string) string{"raw": strings.Clone, "urlencode": EncodeURL}[node.Name]; of != nil &&
			len(node.Args) == 1 && !node.ExpandFinal {
			text, ok := l.text(node.Args[0], in)
			return of(text), ok
		}
	}
	value, diags := l.Value(expr, in)
	if diags.HasErrors() {
		return "", false
	}
	value, marks := value.UnmarkDeepWithPaths()
	if raw, ok := l.raw(expr, in); ok {
		if text, ok := textOf(raw); ok && isText(text, value) {
			return text, true
		}
	}
	if value.IsNull() || !value.IsKnown() || !value.Type().IsPrimitiveType() {
		return "", false
	}
	plain, err := originals(marks).plain(nil, value)
	if err != nil {
		return "", false
	}
	switch plain := plain.(type) {
	case string:
		return plain, true
	case json.Number:
		return string(plain), true
	case bool:
		return strconv.FormatBool(plain), true
	}
	return "", false
}

// chosen is the expression whose value the whole has: within parentheses and ${…}, the branch of a conditional, and the
// first argument of try that has a value.
func (l *Language) chosen(expr hclsyntax.Expression, in Scope) hclsyntax.Expression {
	for {
		switch node := expr.(type) {
		case *hclsyntax.ParenthesesExpr:
			expr = node.Expression
			continue
		case *hclsyntax.TemplateWrapExpr:
			expr = node.Wrapped
			continue
		case *hclsyntax.ConditionalExpr:
			if is, ok := l.truth(node.Condition, in); ok {
				expr = node.FalseResult
				if is {
					expr = node.TrueResult
				}
				continue
			}
		case *hclsyntax.FunctionCallExpr:
			if argument := l.succeeds(node, in); argument != nil {
				expr = argument
				continue
			}
		}
		return expr
	}
}

// truth is the value of a condition, where it has one.
func (l *Language) truth(condition hclsyntax.Expression, in Scope) (is, ok bool) {
	value, diags := l.Value(condition, in)
	if diags.HasErrors() {
		return false, false
	}
	value, _ = value.Unmark()
	if value, err := convert.Convert(value, cty.Bool); err == nil && value.IsKnown() && !value.IsNull() {
		return value.True(), true
	}
	return false, false
}

// succeeds is the argument of try that its value is from, or nil.
func (l *Language) succeeds(call *hclsyntax.FunctionCallExpr, in Scope) hclsyntax.Expression {
	if call.Name != "try" || call.ExpandFinal {
		return nil
	}
	for _, argument := range call.Args {
		value, diags := l.Value(argument, in)
		switch {
		case diags.HasErrors():
			continue
		case !value.IsWhollyKnown():
			return nil
		}
		return argument
	}
	return nil
}

// literal is a part of a string as it stands in the file.
func (l *Language) literal(node *hclsyntax.LiteralValueExpr) (string, bool) {
	value := node.Val.AsString()
	at := node.SrcRange
	if at.Filename != l.filename || at.Start.Byte < 0 || at.Start.Byte > at.End.Byte || at.End.Byte > len(l.src) {
		return value, true
	}
	source := string(l.src[at.Start.Byte:at.End.Byte])
	for _, text := range []string{source, unescape(source)} {
		if cty.StringVal(text).AsString() == value {
			return text, true
		}
	}
	return value, true
}

// unescape reads the escapes of a quoted string.
func unescape(source string) string {
	source = strings.NewReplacer("$${", "${", "%%{", "%{", `\\`, `\\`).Replace(source)
	if text, err := strconv.Unquote(`"` + source + `"`); err == nil {
		return text
	}
	return source
}

// raw is the part of a JSON text that an expression refers to, byte for byte.
func (l *Language) raw(expr hclsyntax.Expression, in Scope) (json.RawMessage, bool) {
	switch node := l.chosen(expr, in).(type) {
	case *hclsyntax.ScopeTraversalExpr:
		if len(node.Traversal) < 2 || node.Traversal.RootName() != in.Name {
			return nil, false
		}
		field, _, ok := FieldOf(node.Traversal[1])
		raw := in.Raw[field]
		if !ok || raw == nil {
			return nil, false
		}
		return follow(raw, node.Traversal[2:])
	case *hclsyntax.RelativeTraversalExpr:
		raw, ok := l.raw(node.Source, in)
		if !ok {
			return nil, false
		}
		return follow(raw, node.Traversal)
	case *hclsyntax.IndexExpr:
		raw, ok := l.raw(node.Collection, in)
		if !ok {
			return nil, false
		}
		key, diags := l.Value(node.Key, in)
		if diags.HasErrors() {
			return nil, false
		}
		key, _ = key.Unmark()
		return member(raw, key)
	}
	return nil, false
}

func follow(raw json.RawMessage, steps hcl.Traversal) (json.RawMessage, bool) {
	ok := true
	for _, step := range steps {
		switch step := step.(type) {
		case hcl.TraverseAttr:
			raw, ok = member(raw, cty.StringVal(step.Name))
		case hcl.TraverseIndex:
			raw, ok = member(raw, step.Key)
		default:
			return nil, false
		}
		if !ok {
			return nil, false
		}
	}
	return raw, true
}

// member is an element of a list or an object that is written as JSON.
func member(raw json.RawMessage, key cty.Value) (json.RawMessage, bool) {
	if key.IsNull() || !key.IsKnown() {
		return nil, false
	}
	if bytes.HasPrefix(bytes.TrimSpace(raw), []byte("[")) {
		var list []json.RawMessage
		if json.Unmarshal(raw, &list) != nil {
			return nil, false
		}
		number, err := convert.Convert(key, cty.Number)
		if err != nil {
			return nil, false
		}
		i, exact := number.AsBigFloat().Int64()
		if exact != 0 || i < 0 || i >= int64(len(list)) {
			return nil, false
		}
		return list[i], true
	}
	var object map[string]json.RawMessage
	if json.Unmarshal(raw, &object) != nil {
		return nil, false
	}
	name, err := convert.Convert(key, cty.String)
	if err != nil {
		return nil, false
	}
	if value, ok := object[name.AsString()]; ok { // in its normal form
		return value, true
	}
	for _, candidate := range slices.Backward(InOrder(object)) {
		if Normal(candidate) == name.AsString() {
			return object[candidate], true
		}
	}
	return nil, false
}

// Normal is a name as expressions have it, in Unicode NFC.
func Normal(name string) string { return cty.StringVal(name).AsString() }

// InOrder are the names of an object in an order in which the latest one of the same normal form counts: the one that
// is in that form, or else the last one in byte order.
func InOrder[V any](object map[string]V) []string {
	var normal, others []string
	for name := range object {
		if Normal(name) == name {
			normal = append(normal, name)
		} else {
			others = append(others, name)
		}
	}
	slices.Sort(others)
	return append(others, normal...)
}

// textOf is a scalar of JSON as text.
func textOf(raw json.RawMessage) (string, bool) {
	raw = bytes.TrimSpace(raw)
	switch raw[0] {
	case '"':
		var text string
		err := json.Unmarshal(raw, &text)
		return text, err == nil
	case '{', '[', 'n':
		return "", false
	}
	return string(raw), true
}
