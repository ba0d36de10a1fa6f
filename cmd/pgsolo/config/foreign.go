package config

import (
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/interpreter"
)

// flowOf follows what producers, and the users behind them, have filled in. The rest of an event is pgsolo's own: ids,
// times and numbers, its topic or channel, which the handler names, and the idempotency key, which is of these. So is
// all of a run: its job is a name of the configuration.
func flowOf(d *block.Decoder) block.Flow {
	foreign := map[string]bool{"key": true, "payload": true, "headers": true}
	flow := block.NewFlow(d, foreign)
	if flow.Variable() != eventVariable {
		return block.NewFlow(d, nil)
	}
	return flow
}

// commandLine takes a program and its arguments. No event says which program that is, and none is a program itself.
func commandLine(to *[]string, programs *[]string) block.Value {
	decode := block.Strings(to, checkCommand)
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		before := d.Mistakes()
		decode(d, attr)
		flow := flowOf(d)
		if flow.Final() || d.Mistakes() > before {
			return
		}
		for _, list := range flow.Alternatives(attr.Expr) {
			*programs = append(*programs, checkElements(d, flow, list, *to)...)
		}
	}
}

// checkElements reports elements of a list with which an event would write a program, and returns the programs that the
// list may begin with, as far as they are known.
func checkElements(d *block.Decoder, flow block.Flow, list hclsyntax.Expression, known []string) (programs []string) {
	input := flow.Variable() == eventVariable // an event's payload is on standard input
	written, ok := list.(*hclsyntax.TupleConsExpr)
	foreign := flow.Foreign(list)
	var all [][]hclsyntax.Expression
	if ok {
		all = flow.Expand(written.Exprs)
	}
	switch {
	case all == nil && foreign:
		d.Report("Event in command", list.Range(), "Which elements there are is decided when the configuration is "+
			"loaded. Write the list out: [\"/usr/local/bin/report\", event.key].")
		return nil
	case all == nil:
		var command []interpreter.Arg
		for _, text := range known {
			command = append(command, interpreter.Arg{Text: text})
		}
		if found := interpreter.Check(command, input); found != nil {
			d.Report("Event in command", list.Range(), "%s.", found.Text)
		}
		return nil
	}
	reported := map[int]bool{}
	for _, elements := range all {
		command := make([]interpreter.Arg, len(elements))
		for i, element := range elements {
			command[i] = argument(flow, element)
		}
		if found := interpreter.Check(command, input); found != nil && !reported[found.Index] {
			reported[found.Index] = true
			d.Report("Event in command", written.Exprs[found.Index].Range(), "%s.", found.Text)
		}
		if len(elements) > 0 && !flow.Uses(elements[0]) && command[0].Text != "" {
			programs = append(programs, command[0].Text)
		}
	}
	return programs
}

// argument is an element, up to where it has an event's data. What is not known before there is an event, and is no
// text of others, is a number for example.
func argument(flow block.Flow, element hclsyntax.Expression) interpreter.Arg {
	if !flow.Foreign(element) {
		if text, ok := flow.Text(element); ok {
			return interpreter.Arg{Text: text}
		}
		return interpreter.Arg{Text: "0"}
	}
	before := ""
	for _, part := range flow.Parts(element) {
		if flow.Foreign(part) {
			break
		}
		text, ok := flow.Text(part)
		if !ok {
			text = "0"
		}
		before += text
	}
	return interpreter.Arg{Text: before, Foreign: true}
}

// ownNames takes an object whose names are decided when the configuration is loaded. What the event says is no value of
// some of them, for the reason.
func ownNames(decode block.Value, closed func(name string) bool, reason string) block.Value {
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		before := d.Mistakes()
		decode(d, attr)
		flow := flowOf(d)
		if flow.Final() || d.Mistakes() > before || !flow.Foreign(attr.Expr) {
			return
		}
		for _, object := range flow.Alternatives(attr.Expr) {
			written, ok := object.(*hclsyntax.ObjectConsExpr)
			if !ok && flow.Foreign(object) {
				d.Report("Event in "+attr.Name, object.Range(), "Which names there are is decided when the "+
					"configuration is loaded. Write them out: { NAME = event.key }.")
			}
			if !ok {
				continue
			}
			for _, item := range written.Items {
				name, known := flow.Text(item.KeyExpr)
				switch {
				case flow.Foreign(item.KeyExpr):
					d.Report("Event in "+attr.Name, item.KeyExpr.Range(),
						"A name is decided when the configuration is "+
							"loaded: an event must not choose it.")
				case known && closed(name) && flow.Foreign(item.ValueExpr):
					d.Report("Event in "+attr.Name, item.ValueExpr.Range(), "%s", reason)
				}
			}
		}
	}
}
