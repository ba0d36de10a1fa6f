package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// scope is the variable that expressions may use: event in the action of a handler and in its when, run in that of a cron job, none elsewhere.
type scope struct {
	name  string // empty for none
	value cty.Value
}

// whereVariable says where a variable exists, and is empty for a name that is none.
func whereVariable(name string) string {
	switch name {
	case "event":
		return "in when and in the action of a handler"
	case "run":
		return "in the action of a cron job"
	default:
		return ""
	}
}

// refuseNames reports the functions, variables and fields of an expression that do not exist. HCL would stop at the first one.
func (d *decoder) refuseNames(expr hclsyntax.Expression) (refused bool) {
	before := len(*d.diags)
	for _, traversal := range expr.Variables() {
		d.refuseVariable(traversal)
	}
	hclsyntax.VisitAll(expr, func(node hclsyntax.Node) hcl.Diagnostics {
		if call, ok := node.(*hclsyntax.FunctionCallExpr); ok {
			d.refuseCall(call)
		}
		return nil
	})
	return len(*d.diags) > before
}

func (d *decoder) refuseVariable(traversal hcl.Traversal) {
	root := traversal[0].(hcl.TraverseRoot)
	if root.Name != d.scope.name {
		d.report("Unknown variable", root.SrcRange, "%s", d.aboutVariable(root.Name, len(traversal) == 1))
		return
	}
	if len(traversal) == 1 {
		return
	}
	field, at, ok := fieldOf(traversal[1])
	if fields := slices.Sorted(maps.Keys(d.scope.value.Type().AttributeTypes())); ok && !slices.Contains(fields, field) {
		hint := list(" It has ", fields)
		if meant := nearest(field, fields); meant != "" {
			hint = fmt.Sprintf(" Did you mean %s?", meant)
		}
		d.report("Unknown field", at, "There is no %s in %s.%s", field, root.Name, hint)
	}
}

// aboutVariable explains a variable that is not in scope. A bare word is mostly a string whose quotes were forgotten.
func (d *decoder) aboutVariable(name string, bare bool) string {
	unknown := fmt.Sprintf("There is no variable %s here.", name)
	if where := whereVariable(name); where != "" {
		return fmt.Sprintf("%s It exists only %s.", unknown, where)
	}
	if d.scope.name != "" && nearest(name, []string{d.scope.name}) != "" {
		return fmt.Sprintf("%s Did you mean %s?", unknown, d.scope.name)
	}
	if bare {
		return fmt.Sprintf("%s A string needs quotes: did you mean %q?", unknown, name)
	}
	if d.scope.name != "" {
		return fmt.Sprintf("%s The only one is %s.", unknown, d.scope.name)
	}
	return unknown + " Variables exist only in action blocks and in when."
}

// fieldOf gives the name that a step of a traversal asks for, and where it stands.
func fieldOf(step hcl.Traverser) (name string, at hcl.Range, ok bool) {
	switch step := step.(type) {
	case hcl.TraverseAttr:
		at = step.SrcRange
		at.Start.Byte++ // past the dot
		at.Start.Column++
		return step.Name, at, true
	case hcl.TraverseIndex:
		if step.Key.Type() == cty.String {
			return step.Key.AsString(), step.SrcRange, true
		}
	}
	return "", hcl.Range{}, false
}

// refuseCall reports an unknown function, and a call of env or file that depends on a variable: what they read is settled when
// the configuration is loaded, so that no producer of an event can choose a file or a variable of this process.
func (d *decoder) refuseCall(call *hclsyntax.FunctionCallExpr) {
	if _, ok := d.functions[call.Name]; !ok {
		known := slices.Sorted(maps.Keys(d.functions))
		hint := fmt.Sprintf(" The functions are %s.", strings.Join(known, ", "))
		if meant := nearest(call.Name, known); meant != "" {
			hint = fmt.Sprintf(" Did you mean %s?", meant)
		}
		d.report("Unknown function", call.NameRange, "There is no function %s.%s", call.Name, hint)
		return
	}
	if call.Name != "env" && call.Name != "file" {
		return
	}
	for _, arg := range call.Args {
		if len(arg.Variables()) > 0 {
			d.report("Variable in "+call.Name, arg.Range(), "What %s reads is settled when the configuration is loaded. Its arguments take no variables.", call.Name)
		}
	}
}
