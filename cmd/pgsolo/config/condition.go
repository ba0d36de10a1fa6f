package config

import (
	"encoding/json"
	"fmt"
	"maps"
	"strings"
	"unicode"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// condition is the when of a handler. It is evaluated for each event, by several goroutines at once, and so it converts
// only those parts of an event that it asks for.
type condition struct {
	attr     *hclsyntax.Attribute
	language *block.Language
	fields   map[string]func(eventlog.Event) cty.Value // those that it asks for
}

// candidateFields are those that a condition may ask for: what differs between two attempts, or two handlers, is no
// property of the event.
func candidateFields() map[string]func(eventlog.Event) cty.Value {
	fields := eventFields()
	for _, name := range []string{"attempt", "term", "idempotency_key"} {
		delete(fields, name)
	}
	return fields
}

func unknownCandidate() block.Scope {
	fields := unknownEvent().Value.AsValueMap()
	kept := candidateFields()
	maps.DeleteFunc(fields, func(name string, _ cty.Value) bool { return kept[name] == nil })
	return block.Scope{Name: eventVariable, Value: cty.ObjectVal(fields)}
}

// condition takes an expression over event that is true or false.
func (doc *document) condition(to **condition) block.Value {
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		inner := d.In(unknownCandidate())
		value, hidden := inner.Evaluate(attr)
		if value == cty.NilVal || !inner.Usable(attr, value) {
			return
		}
		switch {
		case value.Type() != cty.Bool && value.Type() != cty.DynamicPseudoType:
			inner.Report("Wrong type", attr.Expr.Range(), "%s", notCondition(value))
		case !value.IsKnown():
			*to = &condition{attr, doc.language, fieldsOf(attr.Expr)}
		case hidden:
			inner.Report("Constant condition", attr.Expr.Range(),
				"The condition is the same for every event. Remove it, or the handler.")
		case value.True():
			inner.Report("Constant condition", attr.Expr.Range(), "The condition is true for every event. Remove it.")
		default:
			inner.Report("Constant condition", attr.Expr.Range(),
				"The condition is false for every event. Remove the handler.")
		}
	}
}

func notCondition(value cty.Value) string {
	return fmt.Sprintf("A condition is true or false, not %s. Compare it with something: event.key == \"a\".",
		block.Article(value.Type()))
}

// holds says whether the handler gets the event. The error names the place, and no value of the event.
func (c *condition) holds(event eventlog.Event) (bool, error) {
	values := make(map[string]cty.Value, len(c.fields))
	for name, field := range c.fields {
		values[name] = field(event)
	}
	value, diags := c.language.Value(c.attr.Expr, block.Scope{Name: eventVariable, Value: cty.ObjectVal(values)})
	if diags.HasErrors() {
		return false, c.failed(diags[0].Subject, diags[0].Summary, diags[0].Detail)
	}
	value, _ = value.Unmark()
	switch {
	case !value.IsKnown():
		return false, jobs.Discard(c.failed(nil, "Too many values", block.TooLarge))
	case value.IsNull():
		return false, c.failed(nil, "Missing value", "The condition is null.")
	case value.Type() != cty.Bool:
		return false, c.failed(nil, "Wrong type", notCondition(value))
	}
	return value.True(), nil
}

func (c *condition) failed(at *hcl.Range, summary, detail string) error {
	if at == nil {
		at = c.attr.Expr.Range().Ptr()
	}
	return fmt.Errorf("evaluate when at %s:%d: %s: %s", at.Filename, at.Start.Line, summary, detail)
}

// fieldsOf lists the fields of event that an expression asks for.
func fieldsOf(expr hclsyntax.Expression) map[string]func(eventlog.Event) cty.Value {
	all, used := candidateFields(), map[string]func(eventlog.Event) cty.Value{}
	members, whole := map[string]bool{}, false // of the payload
	for _, traversal := range expr.Variables() {
		if len(traversal) == 1 {
			return all
		}
		name, _, ok := block.FieldOf(traversal[1])
		if !ok {
			return all
		}
		used[name] = all[name]
		if name != "payload" {
			continue
		}
		if len(traversal) == 2 {
			whole = true
			continue
		}
		member, _, ok := block.FieldOf(traversal[2])
		members[member] = true
		// HCL normalizes other names.
		ascii := !strings.ContainsFunc(member, func(r rune) bool { return r > unicode.MaxASCII })
		whole = whole || !ok || !ascii
	}
	if !whole && len(members) > 0 {
		used["payload"] = func(event eventlog.Event) cty.Value { return payloadMembers(event.Payload, members) }
	}
	return used
}

// payloadMembers is payloadValue without the members of an object that the condition does not use, which may be large.
func payloadMembers(payload []byte, wanted map[string]bool) cty.Value {
	var members map[string]json.RawMessage
	if err := json.Unmarshal(payload, &members); err != nil || members == nil {
		return payloadValue(payload)
	}
	values := make(map[string]cty.Value, len(wanted))
	for name := range wanted {
		if member, ok := members[name]; ok {
			values[name] = payloadValue(member)
		}
	}
	return cty.ObjectVal(values)
}
