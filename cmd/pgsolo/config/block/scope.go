package block

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
)

// Scope is a variable that expressions may use, and its value, or what is known of it.
type Scope struct {
	Name  string // empty for none
	Value cty.Value

	// Raw are the fields of the value that are JSON, as their bytes are.
	Raw map[string]json.RawMessage
}

// IsVariable says that a variable exists somewhere in the file.
func (d *Decoder) IsVariable(name string) bool { return d.language.Variables[name] != "" }

// refuseNames reports the functions, variables and fields of an expression that do not exist. HCL would stop at the
// first one.
func (d *Decoder) refuseNames(expr hclsyntax.Expression) (refused bool) {
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

func (d *Decoder) refuseVariable(traversal hcl.Traversal) {
	root := traversal[0].(hcl.TraverseRoot)
	if root.Name != d.scope.Name {
		d.Report("Unknown variable", root.SrcRange, "%s", d.aboutVariable(root.Name, len(traversal) == 1))
		return
	}
	if len(traversal) == 1 {
		return
	}
	field, at, ok := FieldOf(traversal[1])
	if fields := slices.Sorted(maps.Keys(d.scope.Value.Type().AttributeTypes())); ok &&
		!slices.Contains(fields, field) {
		hint := list(" It has ", fields)
		if meant := Nearest(field, fields); meant != "" {
			hint = fmt.Sprintf(" Did you mean %s?", meant)
		}
		d.Report("Unknown field", at, "There is no %s in %s.%s", field, root.Name, hint)
	}
}

// aboutVariable explains a variable that is not in scope. A bare word is mostly a string whose quotes were forgotten.
func (d *Decoder) aboutVariable(name string, bare bool) string {
	unknown := fmt.Sprintf("There is no variable %s here.", name)
	if where := d.language.Variables[name]; where != "" {
		return fmt.Sprintf("%s It exists only %s.", unknown, where)
	}
	if d.scope.Name != "" && Nearest(name, []string{d.scope.Name}) != "" {
		return fmt.Sprintf("%s Did you mean %s?", unknown, d.scope.Name)
	}
	if bare {
		return fmt.Sprintf("%s A string needs quotes: did you mean %q?", unknown, name)
	}
	if d.scope.Name != "" {
		return fmt.Sprintf("%s The only one is %s.", unknown, d.scope.Name)
	}
	return unknown + " " + d.language.Elsewhere
}

// FieldOf gives the name that a step of a traversal asks for, and where it stands.
func FieldOf(step hcl.Traverser) (name string, at hcl.Range, ok bool) {
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

// refuseCall reports an unknown function, and a call of env or file that depends on a variable: what they read is
// settled when the configuration is loaded, so that no producer of an event can choose a file or a variable of this
// process.
func (d *Decoder) refuseCall(call *hclsyntax.FunctionCallExpr) {
	if _, ok := d.language.functions[call.Name]; !ok {
		known := slices.Sorted(maps.Keys(d.language.functions))
		hint := fmt.Sprintf(" The functions are %s.", strings.Join(known, ", "))
		if meant := Nearest(call.Name, known); meant != "" {
			hint = fmt.Sprintf(" Did you mean %s?", meant)
		}
		d.Report("Unknown function", call.NameRange, "There is no function %s.%s", call.Name, hint)
		return
	}
	if call.Name != "env" && call.Name != "file" {
		return
	}
	for _, arg := range call.Args {
		if len(arg.Variables()) > 0 {
			d.Report("Variable in "+call.Name, arg.Range(),
				"What %s reads is settled when the configuration is loaded. Its arguments take no variables.",
				call.Name)
		}
	}
}
