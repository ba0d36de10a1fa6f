package block

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/function"
)

// Language is what the expressions of a file may use. It does not change, and goroutines may share it.
type Language struct {
	// Variables says of each variable where it exists, as in "in the action of a handler".
	Variables map[string]string

	// Elsewhere is a sentence that says the same of all variables together.
	Elsewhere string

	functions map[string]function.Function

	// The file, for what stands in it as a literal. Decode sets it, before expressions are shared.
	filename string
	src      []byte
}

// NewLanguage returns the language of a file: its folder is where relative paths of the function file begin, and env
// looks up the variables of the function env, as os.LookupEnv does.
func NewLanguage(filename string, env func(string) (string, bool), variables map[string]string,
	elsewhere string) *Language {
	return &Language{functions: functions(filepath.Dir(filename), env), Variables: variables, Elsewhere: elsewhere}
}

// Evaluate decodes the arguments of a block that was decoded without mistakes again, with the value of the variable,
// which is not asked for unless an expression uses it. The error names the argument and its line, and no value.
func (l *Language) Evaluate(found *hclsyntax.Block, variable func() Scope, arguments []Argument) error {
	var diags hcl.Diagnostics
	d := &Decoder{language: l, diags: &diags, hidden: true, final: true}
	if usesVariable(found.Body) {
		d.scope = variable()
	}
	for _, argument := range arguments {
		if attr, ok := found.Body.Attributes[argument.Name]; ok {
			argument.Value(d, attr)
		}
	}
	if !diags.HasErrors() {
		return nil
	}
	diag, name := diags[0], ""
	for _, candidate := range slices.Sorted(maps.Keys(found.Body.Attributes)) {
		if found.Body.Attributes[candidate].SrcRange.ContainsPos(diag.Subject.Start) {
			name = candidate
		}
	}
	err := fmt.Errorf("evaluate %s of %s at %s:%d: %s: %s",
		name, found.Type, diag.Subject.Filename, diag.Subject.Start.Line, diag.Summary, diag.Detail)
	if d.forGood != nil {
		return fmt.Errorf("%w: %w", d.forGood, err)
	}
	return err
}

func usesVariable(body *hclsyntax.Body) bool {
	for _, attr := range body.Attributes {
		if len(attr.Expr.Variables()) > 0 {
			return true
		}
	}
	return false
}

// Value is what an expression gives with the variable of a scope. The mistakes repeat no value.
func (l *Language) Value(expr hclsyntax.Expression, in Scope) (cty.Value, hcl.Diagnostics) {
	context := &hcl.EvalContext{Functions: l.functions}
	if in.Name != "" {
		context.Variables = map[string]cty.Value{in.Name: in.Value}
	}
	value, diags := expr.Value(context)
	if !diags.HasErrors() {
		return value, nil
	}
	for i, diag := range diags {
		diags[i] = l.polish(diag, expr)
	}
	return cty.NilVal, diags
}
