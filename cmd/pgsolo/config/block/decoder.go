package block

import (
	"fmt"
	"maps"
	"path/filepath"
	"slices"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/function"
)

// Language is what the expressions of a file may use. It does not change, and may be used by several goroutines at
// once.
type Language struct {
	// Variables says of each variable where it exists, as in "in the action of a handler".
	Variables map[string]string

	// Elsewhere is a sentence that says the same of all variables together.
	Elsewhere string

	functions map[string]function.Function
}

// NewLanguage returns the language of a file: its folder is where relative paths of the function file begin, and env
// looks up the variables of the function env, as os.LookupEnv does.
func NewLanguage(filename string, env func(string) (string, bool), variables map[string]string,
	elsewhere string) *Language {
	return &Language{functions: functions(filepath.Dir(filename), env), Variables: variables, Elsewhere: elsewhere}
}

// Decoder evaluates arguments and collects what is wrong with them.
type Decoder struct {
	language *Language
	scope    Scope
	diags    *hcl.Diagnostics

	// hidden keeps every value out of messages, because the variable has a value that may be secret.
	hidden bool

	// What Evaluate notes about the arguments of one block: whether one has to wait for the variable, and which have
	// values that may not be printed (nil: not noted).
	late      bool
	concealed map[string]bool
}

// NewDecoder returns a decoder without a variable.
func NewDecoder(language *Language) *Decoder {
	return &Decoder{language: language, diags: &hcl.Diagnostics{}}
}

// In returns a decoder of the same file whose expressions may use the variable of the scope. Its value may be unknown.
func (d *Decoder) In(scope Scope) *Decoder {
	return &Decoder{language: d.language, scope: scope, diags: d.diags, concealed: map[string]bool{}}
}

// Decode decodes a file by the grammar. The owner is how messages call the file. The error is an *Error.
func (d *Decoder) Decode(filename string, src []byte, owner string, grammar Body) error {
	file, parsed := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if parsed.HasErrors() {
		return newError(file, src, firstOfEach(parsed))
	}
	root := file.Body.(*hclsyntax.Body)
	d.decode(root, fileStart(root), owner, grammar)
	if d.diags.HasErrors() {
		return newError(file, src, *d.diags)
	}
	return nil
}

// firstOfEach drops the syntax errors that only follow from the one on the same line or the line before.
func firstOfEach(diags hcl.Diagnostics) hcl.Diagnostics {
	var kept hcl.Diagnostics
	line := -1
	for _, diag := range diags {
		if line < 0 || diag.Subject.Start.Line > line+1 {
			kept = append(kept, diag)
		}
		line = diag.Subject.Start.Line
	}
	return kept
}

// fileStart is where a block that is missing from the file is reported.
func fileStart(root *hclsyntax.Body) hcl.Range {
	return hcl.Range{Filename: root.SrcRange.Filename, Start: hcl.InitialPos, End: hcl.InitialPos}
}

// Report adds a mistake.
func (d *Decoder) Report(summary string, at hcl.Range, format string, args ...any) *hcl.Diagnostic {
	diag := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Subject: &at,
		Detail: fmt.Sprintf(format, args...)}
	*d.diags = append(*d.diags, diag)
	return diag
}

// Mistakes is how many have been reported of the file.
func (d *Decoder) Mistakes() int { return len(*d.diags) }

// Waits says that an argument is not known yet, because it uses the variable.
func (d *Decoder) Waits() bool { return d.late }

// Conceals says that the value of an argument may not be printed, because it comes from env or file.
func (d *Decoder) Conceals(argument string) bool { return d.concealed[argument] }

// Evaluate decodes the arguments of a block that was decoded without mistakes again, with the value of the variable,
// which is not asked for unless an expression uses it. The error names the argument and its line, and no value.
func (l *Language) Evaluate(found *hclsyntax.Block, variable func() Scope, arguments []Argument) error {
	var diags hcl.Diagnostics
	d := &Decoder{language: l, diags: &diags, hidden: true}
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
	return fmt.Errorf("evaluate %s of %s at %s:%d: %s: %s",
		name, found.Type, diag.Subject.Filename, diag.Subject.Start.Line, diag.Summary, diag.Detail)
}

func usesVariable(body *hclsyntax.Body) bool {
	for _, attr := range body.Attributes {
		if len(attr.Expr.Variables()) > 0 {
			return true
		}
	}
	return false
}
