package block

import (
	"fmt"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Decoder evaluates arguments and collects what is wrong with them.
type Decoder struct {
	language *Language
	scope    Scope
	diags    *hcl.Diagnostics

	// hidden keeps every value out of messages, because the variable has a value that may be secret.
	hidden bool

	// What Evaluate notes about the arguments of one block: whether one has to wait for the variable, which do, and
	// which have values that may not be printed (nil: not noted).
	late      bool
	originals originals // of the latest one
	final     bool      // everything is known but what is too large
	forGood   error     // why another try cannot help; nil: it may
	waiting   map[string]bool
	concealed map[string]bool
}

// NewDecoder returns a decoder without a variable.
func NewDecoder(language *Language) *Decoder {
	return &Decoder{language: language, diags: &hcl.Diagnostics{}}
}

// In returns a decoder of the same file whose expressions may use the variable of the scope. Its value may be unknown.
func (d *Decoder) In(scope Scope) *Decoder {
	return &Decoder{language: d.language, scope: scope, diags: d.diags,
		waiting: map[string]bool{}, concealed: map[string]bool{}}
}

// Decode decodes a file by the grammar. The owner is how messages call the file. The error is an *Error.
func (d *Decoder) Decode(filename string, src []byte, owner string, grammar Body) error {
	file, parsed := hclsyntax.ParseConfig(src, filename, hcl.InitialPos)
	if parsed.HasErrors() {
		return newError(file, src, firstOfEach(parsed))
	}
	d.language.filename, d.language.src = filename, src
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

// WaitsFor says that it is this argument, or an element of it.
func (d *Decoder) WaitsFor(argument string) bool { return d.waiting[argument] }

// Conceals says that the value of an argument may not be printed, because it comes from env or file.
func (d *Decoder) Conceals(argument string) bool { return d.concealed[argument] }
