package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/zclconf/go-cty/cty/function"
)

// body is what may stand between the braces of a block, bound to the place where the values go.
type body struct {
	arguments []argument
	blocks    []block
	finish    func() // checks across arguments, after all of them are decoded; may be nil
}

type argument struct {
	name     string
	required bool
	example  string // of the whole argument, for the message that it is missing
	field    string // of the action's struct, which its Validate names; empty in other blocks
	decode   func(*hclsyntax.Attribute)
}

type block struct {
	kind     string
	named    bool // has exactly one label, its name; others have none
	single   bool // may stand there once
	required bool
	example  string

	checkName func(string) string // of its label; nil: checkName

	// open makes the place for one block of this kind and says what may stand in it. It must not read the block's body.
	open func(*hclsyntax.Block) body
}

// decoder evaluates arguments and collects what is wrong with them.
type decoder struct {
	functions map[string]function.Function
	scope     scope
	diags     *hcl.Diagnostics

	// hidden keeps every value out of messages, because the values of events and ticks are in scope.
	hidden bool

	// What evaluate notes about the arguments of an action: whether one has to wait for an event, and which have values that may
	// not be printed (nil: not noted).
	late      bool
	concealed map[string]bool
}

func (d *decoder) report(summary string, at hcl.Range, format string, args ...any) *hcl.Diagnostic {
	diag := &hcl.Diagnostic{Severity: hcl.DiagError, Summary: summary, Subject: &at, Detail: fmt.Sprintf(format, args...)}
	*d.diags = append(*d.diags, diag)
	return diag
}

// decode walks in by the grammar. The owner names the block in messages; what is missing from it is reported at header.
func (d *decoder) decode(in *hclsyntax.Body, header hcl.Range, owner string, grammar body) {
	d.refuseUnknown(in, owner, grammar)
	for _, argument := range grammar.arguments {
		attr, ok := in.Attributes[argument.name]
		switch {
		case ok:
			argument.decode(attr)
		case argument.required && !grammar.isMeant(argument.name, in):
			d.report("Missing argument", header,
				"%s needs the argument %s, for example: %s", sentence(owner), argument.name, argument.example)
		}
	}
	for _, block := range grammar.blocks {
		d.decodeBlocks(in, header, owner, block)
	}
	if grammar.finish != nil {
		grammar.finish()
	}
}

func (d *decoder) decodeBlocks(in *hclsyntax.Body, header hcl.Range, owner string, want block) {
	var first *hclsyntax.Block
	misspelled := false
	for _, found := range in.Blocks {
		if found.Type != want.kind {
			misspelled = misspelled || nearest(found.Type, []string{want.kind}) != ""
			continue
		}
		if want.single && first != nil {
			d.report("Duplicate block", found.TypeRange,
				"%s takes one %s block, and this is another one. Merge the two.", sentence(owner), want.kind).
				Extra = related{"the first one", first.DefRange()}
			continue
		}
		first = found
		d.checkLabels(found, want)
		d.decode(found.Body, found.DefRange(), describe(found), want.open(found))
	}
	if want.required && first == nil && !misspelled {
		d.report("Missing block", header, "%s needs a %s block, for example: %s", sentence(owner), want.kind, want.example)
	}
}

// checkLabels refuses a block that is not labelled as it should be. It is decoded nevertheless, for its other mistakes.
func (d *decoder) checkLabels(found *hclsyntax.Block, want block) {
	switch {
	case !want.named && len(found.Labels) > 0:
		d.report("Unexpected name", found.LabelRanges[0], "The block %s takes no name. Write: %s { … }", want.kind, want.kind)
	case want.named && len(found.Labels) == 0:
		d.report("Missing name", found.TypeRange, "The block %s needs a name. Write: %s \"name\" { … }", want.kind, want.kind)
	case want.named && len(found.Labels) > 1:
		d.report("Unexpected name", found.LabelRanges[1],
			"The block %s takes one name. Write: %s %q { … }", want.kind, want.kind, found.Labels[0])
	case want.named:
		check := checkName
		if want.checkName != nil {
			check = want.checkName
		}
		if problem := check(found.Labels[0]); problem != "" {
			d.report("Invalid name", found.LabelRanges[0], "%s", problem)
		}
	}
}

// label is the name of the block, or empty where checkLabels has already refused it.
func label(found *hclsyntax.Block) string {
	if len(found.Labels) == 0 {
		return ""
	}
	return found.Labels[0]
}

// describe names a block in the middle of a sentence.
func describe(found *hclsyntax.Block) string {
	if name := label(found); name != "" {
		return fmt.Sprintf("%s %q", found.Type, name)
	}
	return "the " + found.Type + " block"
}

// sentence begins a sentence with owner.
func sentence(owner string) string {
	if rest, ok := strings.CutPrefix(owner, "the "); ok {
		return "The " + rest
	}
	return owner
}
