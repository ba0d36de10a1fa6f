package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// action is one action block, decoded once when the file is loaded, to check it, and again for each event or tick. Decoding
// costs microseconds, next to the process or the request that follows.
type action struct {
	kind  actionKind
	block *hclsyntax.Block
	doc   *document
}

// actions are the action blocks of one handler or cron job, in the order of the table of kinds.
type actions []*action

// actionBlocks is the part of a grammar that takes action blocks, whose arguments may use the variable of the scope.
func (doc *document) actionBlocks(to *actions, unknown scope) []block {
	var blocks []block
	for _, kind := range actionKinds() {
		blocks = append(blocks, block{kind: kind.name, open: func(found *hclsyntax.Block) body {
			inner := &decoder{functions: doc.functions, scope: unknown, diags: doc.diags, concealed: map[string]bool{}}
			before := len(*doc.diags)
			bound := kind.decode(inner, tools{})
			return body{arguments: bound.arguments, finish: func() {
				*to = append(*to, &action{kind, found, doc})
				if len(*doc.diags) == before && !inner.late {
					inner.reportInvalid(found, bound)
				}
			}}
		}})
	}
	return blocks
}

// reportInvalid reports what the package of the action finds wrong, at the argument that stands for the field it names.
func (d *decoder) reportInvalid(found *hclsyntax.Block, bound boundAction) {
	err := bound.validate()
	if err == nil {
		return
	}
	_, message, _ := strings.Cut(err.Error(), ": ") // after the name of the package's type
	at, name := found.DefRange(), found.Type
	for _, argument := range bound.arguments {
		if attr, ok := found.Body.Attributes[argument.name]; ok && strings.Contains(message, argument.field) {
			at, name = attr.Expr.Range(), argument.name
			message = strings.ReplaceAll(message, argument.field, argument.name)
			break
		}
	}
	if d.concealed[name] && !bound.discreet {
		d.report("Invalid "+name, at, "The value (not shown: it may be secret) cannot be used here.")
		return
	}
	d.report("Invalid "+name, at, "This cannot work: %s.", message)
}

// oneAction requires exactly one action block, and gives the first.
func (doc *document) oneAction(owner *hclsyntax.Block, found actions) *action {
	var names []string
	for _, kind := range actionKinds() {
		names = append(names, kind.name)
	}
	if len(found) == 0 && hasUnknownBlock(owner) {
		return nil // reported already, and perhaps a misspelled action
	}
	if len(found) == 0 {
		doc.report("No action", owner.DefRange(),
			"%s does nothing. Add exactly one of the blocks %s.", describe(owner), strings.Join(names, ", "))
		return nil
	}
	slices.SortFunc(found, func(a, b *action) int { return a.block.TypeRange.Start.Byte - b.block.TypeRange.Start.Byte })
	for _, extra := range found[1:] {
		doc.report("Two actions", extra.block.TypeRange,
			"%s has an action already. Make two %s blocks of it, one for each.", describe(owner), owner.Type).
			Extra = related{"the first action", found[0].block.TypeRange}
	}
	return found[0]
}

func hasUnknownBlock(owner *hclsyntax.Block) bool {
	known := map[string][]string{"handler": {"retry", "breaker"}, "cron": {"retry", "history"}}[owner.Type] // beside the actions
	for _, inner := range owner.Body.Blocks {
		if !slices.Contains(known, inner.Type) {
			return true
		}
	}
	return false
}

// resolve evaluates the arguments with the variable of the scope. The error names the place of the argument that failed.
func (a *action) resolve(in *Election, variables func() scope) (boundAction, error) {
	var diags hcl.Diagnostics
	decoder := &decoder{functions: a.doc.functions, diags: &diags, hidden: true}
	if a.usesVariable() {
		decoder.scope = variables()
	}
	bound := a.kind.decode(decoder, tools{logger: a.doc.config.ActionLogger, client: a.doc.config.client, sessions: in.Sessions})
	decoder.decode(a.block.Body, a.block.DefRange(), describe(a.block), body{arguments: bound.arguments})
	if diags.HasErrors() {
		return bound, a.evaluationError(diags[0])
	}
	return bound, nil
}

// needsSession is false for an action that is missing.
func (a *action) needsSession() bool { return a != nil && a.kind.needsSession }

// usesVariable spares the parsing of a payload that no argument asks for.
func (a *action) usesVariable() bool {
	for _, attr := range a.block.Body.Attributes {
		if len(attr.Expr.Variables()) > 0 {
			return true
		}
	}
	return false
}

func (a *action) evaluationError(diag *hcl.Diagnostic) error {
	name := ""
	for _, candidate := range slices.Sorted(maps.Keys(a.block.Body.Attributes)) {
		if a.block.Body.Attributes[candidate].SrcRange.ContainsPos(diag.Subject.Start) {
			name = candidate
		}
	}
	return fmt.Errorf("evaluate %s of %s at %s:%d: %s: %s", name, a.kind.name, diag.Subject.Filename, diag.Subject.Start.Line, diag.Summary, diag.Detail)
}
