package config

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
)

// actionKinds is the table of actions: a new kind is a package below jobs, a file of this package, and one line here.
func actionKinds() []actionKind {
	return []actionKind{
		execKind(),
		webhookKind(),
		sqlKind(),
	}
}

// actionKind is one kind of block that says what a handler or a cron job does.
type actionKind struct {
	name string

	// needsSession: the action runs in the transaction of an event of the log, by runTx, and elsewhere on one of
	// tools.sessions.
	needsSession bool

	// discreet: what validate says may always be printed, because it repeats no value.
	discreet bool

	// bind makes an action whose arguments are to be decoded.
	bind func(tools) boundAction
}

// boundAction is an action and the arguments that fill in its fields. After those are decoded, validate says what is
// wrong with the whole, in a *jobs.FieldError where it is one field, and run does it.
type boundAction struct {
	arguments []block.Argument
	validate  func() error

	// assume fills in what is not known when the file is loaded, because it uses the variable, with what validate takes
	// for right, so that the rest is checked. nil: then nothing is.
	assume func(waits func(argument string) bool)

	run   func() jobs.Action
	runTx func() func(context.Context, pgx.Tx) error // nil: the action does not need a session
}

// tools are what the actions of one election share. The zero value is enough to check them.
type tools struct {
	logger   hclog.Logger // nil: none
	client   *http.Client
	sessions *pgxpool.Pool
}

// action describes what a handler or a cron job does: a block whose arguments are decoded when the file is loaded, to
// check them, and again for each event or tick. That costs microseconds, next to the process or request that follows.
type action struct {
	kind     actionKind
	found    *hclsyntax.Block
	language *block.Language
}

// needsSession is false for an action that is missing.
func (a *action) needsSession() bool { return a != nil && a.kind.needsSession }

// resolve evaluates the arguments with the variable. The error names the place of the argument that failed.
func (a *action) resolve(with tools, variable func() block.Scope) (boundAction, error) {
	bound := a.kind.bind(with)
	err := a.language.Evaluate(a.found, variable, bound.arguments)
	if errors.Is(err, block.ErrTooLarge) || errors.Is(err, block.ErrRefused) {
		err = jobs.Discard(err)
	}
	return bound, err
}

// actionBlocks is the part of a grammar that takes action blocks, whose arguments may use the variable of the scope.
func (doc *document) actionBlocks(to *[]*action, unknown block.Scope) []block.Block {
	var blocks []block.Block
	for _, kind := range actionKinds() {
		blocks = append(blocks, block.Block{Kind: kind.name, Open: func(found *hclsyntax.Block) block.Body {
			inner := doc.In(unknown)
			before := doc.Mistakes()
			bound := kind.bind(tools{})
			return block.Body{Arguments: bound.arguments, In: inner, Finish: func() {
				*to = append(*to, &action{kind, found, doc.language})
				if doc.Mistakes() != before || inner.Waits() && bound.assume == nil {
					return
				}
				if inner.Waits() {
					bound.assume(inner.WaitsFor)
				}
				reportInvalid(inner, found, kind, bound)
			}}
		}})
	}
	return blocks
}

// reportInvalid reports what the package of the action finds wrong, at the argument that stands for the field it names.
func reportInvalid(d *block.Decoder, found *hclsyntax.Block, kind actionKind, bound boundAction) {
	err := bound.validate()
	if err == nil {
		return
	}
	_, message, _ := strings.Cut(err.Error(), ": ") // after the name of the package's type
	at, name := found.DefRange(), found.Type
	if wrong, ok := errors.AsType[*jobs.FieldError](err); ok {
		field, _, _ := strings.Cut(wrong.Field, "[")
		if attr := attributeOf(field, found, bound.arguments); attr != nil {
			at, name = attr.Expr.Range(), attr.Name
			before := strings.TrimSuffix(message, wrong.Error())
			message = before + name + strings.TrimPrefix(wrong.Error(), field)
		}
	}
	if d.Conceals(name) && !kind.discreet {
		d.Report("Invalid "+name, at, "The value (not shown: it may be secret) cannot be used here.")
		return
	}
	d.Report("Invalid "+name, at, "This cannot work: %s.", message)
}

// named makes an error that speaks of a field speak of the argument that stands for it. What it wraps stays reachable.
func (b boundAction) named(err error) error {
	wrong, ok := errors.AsType[*jobs.FieldError](err)
	if !ok {
		return err
	}
	field, _, _ := strings.Cut(wrong.Field, "[")
	for _, argument := range b.arguments {
		if argument.Field == field {
			text := argument.Name + strings.TrimPrefix(wrong.Error(), field)
			return &renamed{strings.Replace(err.Error(), wrong.Error(), text, 1), err}
		}
	}
	return err
}

type renamed struct {
	text string
	error
}

func (r *renamed) Error() string { return r.text }
func (r *renamed) Unwrap() error { return r.error }

// attributeOf is the argument that stands for a field, or nil.
func attributeOf(field string, found *hclsyntax.Block, arguments []block.Argument) *hclsyntax.Attribute {
	for _, argument := range arguments {
		if argument.Field == field {
			return found.Body.Attributes[argument.Name]
		}
	}
	return nil
}

// oneAction requires exactly one action block, and gives the first.
func (doc *document) oneAction(owner *hclsyntax.Block, grammar block.Body, given []*action) *action {
	if len(given) == 0 && grammar.HasUnknownBlock(owner) {
		return nil // reported already, and perhaps a misspelled action
	}
	if len(given) == 0 {
		var names []string
		for _, kind := range actionKinds() {
			names = append(names, kind.name)
		}
		doc.Report("No action", owner.DefRange(),
			"%s does nothing. Add exactly one of the blocks %s.", block.Describe(owner), strings.Join(names, ", "))
		return nil
	}
	slices.SortFunc(given,
		func(a, b *action) int { return a.found.TypeRange.Start.Byte - b.found.TypeRange.Start.Byte })
	for _, extra := range given[1:] {
		doc.Report("Two actions", extra.found.TypeRange,
			"%s has an action already. Make two %s blocks of it, one for each.", block.Describe(owner), owner.Type).
			Extra = block.Related("the first action", given[0].found.TypeRange)
	}
	return given[0]
}
