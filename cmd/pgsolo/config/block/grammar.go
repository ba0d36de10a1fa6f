package block

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// Body is what may stand between the braces of a block, bound to the place where the values go.
type Body struct {
	Arguments []Argument
	Blocks    []Block
	Finish    func() // checks across arguments, after all of them are decoded; may be nil

	// In decodes the arguments, where they may use a variable; nil: the decoder of the file.
	In *Decoder
}

// Argument is name = value.
type Argument struct {
	Name     string
	Required bool
	Example  string // of the whole argument, for the message that it is missing
	Field    string // of the Go struct that the value goes to, where errors name fields
	Value    Value
}

// Value decodes the value of an argument. It reports what is wrong.
type Value func(*Decoder, *hclsyntax.Attribute)

// Block is kind "name" { … }, or without a name.
type Block struct {
	Kind     string
	Named    bool // has exactly one label, its name; others have none
	Single   bool // may stand there once
	Required bool
	Example  string // for the message that it is missing

	CheckName func(string) string // says what is wrong with the label; nil: nothing

	// Open makes the place for one block of this kind and says what may stand in it. It must not read the block's body,
	// and changes nothing: it is also called for the names in the body alone.
	Open func(*hclsyntax.Block) Body
}

// decode reads in by the grammar. The owner names the block in messages; what is missing from it is reported at header.
func (d *Decoder) decode(in *hclsyntax.Body, header hcl.Range, owner string, grammar Body) {
	d.refuseUnknown(in, owner, grammar)
	with := d
	if grammar.In != nil {
		with = grammar.In
	}
	for _, argument := range grammar.Arguments {
		attr, ok := in.Attributes[argument.Name]
		switch {
		case ok:
			argument.Value(with, attr)
		case argument.Required && !grammar.IsMeant(argument.Name, in):
			d.Report("Missing argument", header,
				"%s needs the argument %s, for example: %s", sentence(owner), argument.Name, argument.Example)
		}
	}
	for _, block := range grammar.Blocks {
		d.decodeBlocks(in, header, owner, block)
	}
	if grammar.Finish != nil {
		grammar.Finish()
	}
}

func (d *Decoder) decodeBlocks(in *hclsyntax.Body, header hcl.Range, owner string, want Block) {
	var first *hclsyntax.Block
	misspelled := false
	for _, found := range in.Blocks {
		if found.Type != want.Kind {
			misspelled = misspelled || Nearest(found.Type, []string{want.Kind}) != ""
			continue
		}
		if want.Single && first != nil {
			d.Report("Duplicate block", found.TypeRange,
				"%s takes one %s block, and this is another one. Merge the two.", sentence(owner), want.Kind).
				Extra = Related("the first one", first.DefRange())
			continue
		}
		first = found
		d.checkLabels(found, want)
		d.decode(found.Body, found.DefRange(), Describe(found), want.Open(found))
	}
	if want.Required && first == nil && !misspelled {
		d.Report("Missing block", header, "%s needs a %s block, for example: %s", sentence(owner), want.Kind,
			want.Example)
	}
}

// checkLabels refuses a block that is not labelled as it should be. It is decoded nevertheless, for its other mistakes.
func (d *Decoder) checkLabels(found *hclsyntax.Block, want Block) {
	switch {
	case !want.Named && len(found.Labels) > 0:
		d.Report("Unexpected name", found.LabelRanges[0], "The block %s takes no name. Write: %s { … }", want.Kind,
			want.Kind)
	case want.Named && len(found.Labels) == 0:
		d.Report("Missing name", found.TypeRange, "The block %s needs a name. Write: %s \"name\" { … }", want.Kind,
			want.Kind)
	case want.Named && len(found.Labels) > 1:
		d.Report("Unexpected name", found.LabelRanges[1],
			"The block %s takes one name. Write: %s %q { … }", want.Kind, want.Kind, found.Labels[0])
	case want.Named && want.CheckName != nil:
		if problem := want.CheckName(found.Labels[0]); problem != "" {
			d.Report("Invalid name", found.LabelRanges[0], "%s", problem)
		}
	}
}

// Label is the name of the block, or empty where it has none that is right.
func Label(found *hclsyntax.Block) string {
	if len(found.Labels) == 0 {
		return ""
	}
	return found.Labels[0]
}

// Describe names a block in the middle of a sentence.
func Describe(found *hclsyntax.Block) string {
	if name := Label(found); name != "" {
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

// Names holds the first block of each kind and name.
type Names map[[2]string]*hclsyntax.Block

// Add says whether the block has a name that no other of its kind has, and reports the second of two.
func (taken Names) Add(d *Decoder, found *hclsyntax.Block) bool {
	name := Label(found)
	if name == "" {
		return false
	}
	first, ok := taken[[2]string{found.Type, name}]
	if ok {
		d.Report("Duplicate name", found.LabelRanges[0],
			"There is another %s %q. Give one of them another name.", found.Type, name).
			Extra = Related("the first one", first.DefRange())
		return false
	}
	taken[[2]string{found.Type, name}] = found
	return true
}
