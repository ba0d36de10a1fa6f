package block

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// refuseUnknown reports the arguments and blocks that the grammar does not have.
func (d *Decoder) refuseUnknown(in *hclsyntax.Body, owner string, grammar Body) {
	for _, name := range slices.Sorted(maps.Keys(in.Attributes)) {
		if !slices.Contains(grammar.argumentNames(), name) {
			d.Report("Unknown argument", in.Attributes[name].NameRange,
				"There is no argument %s in %s.%s", name, owner, grammar.hintArgument(name))
		}
	}
	for _, found := range in.Blocks {
		if !slices.Contains(grammar.blockNames(), found.Type) {
			d.Report("Unknown block", found.TypeRange,
				"There is no block %s in %s.%s", found.Type, owner, grammar.hintBlock(found.Type))
		}
	}
}

func (b Body) argumentNames() []string {
	names := make([]string, len(b.Arguments))
	for i, argument := range b.Arguments {
		names[i] = argument.Name
	}
	return names
}

func (b Body) blockNames() []string {
	names := make([]string, len(b.Blocks))
	for i, block := range b.Blocks {
		names[i] = block.Kind
	}
	return names
}

// HasUnknownBlock says whether there is a block in found that the grammar does not have. It is reported already, and
// perhaps another one misspelled.
func (b Body) HasUnknownBlock(found *hclsyntax.Block) bool {
	for _, inner := range found.Body.Blocks {
		if !slices.Contains(b.blockNames(), inner.Type) {
			return true
		}
	}
	return false
}

// IsMeant says whether an unknown argument of in is probably a misspelling of name, which is then not missing as well.
func (b Body) IsMeant(name string, in *hclsyntax.Body) bool {
	known := b.argumentNames()
	for given := range in.Attributes {
		if !slices.Contains(known, given) && Nearest(given, known) == name {
			return true
		}
	}
	return false
}

// hintArgument says what the author of an unknown argument may have meant: a block of that name, an argument of a
// similar name, or an argument that belongs into a block further in.
func (b Body) hintArgument(name string) string {
	if slices.Contains(b.blockNames(), name) {
		return fmt.Sprintf(" Did you mean the block %s { … }, without the equals sign?", name)
	}
	if meant := Nearest(name, b.argumentNames()); meant != "" {
		return fmt.Sprintf(" Did you mean %s?", meant)
	}
	var owners []string
	for _, block := range b.Blocks {
		if slices.Contains(block.Open(&hclsyntax.Block{Type: block.Kind}).argumentNames(), name) {
			owners = append(owners, block.Kind)
		}
	}
	if len(owners) > 0 {
		return fmt.Sprintf(" It is an argument of the block %s.", strings.Join(owners, " and of "))
	}
	if meant := Nearest(name, b.blockNames()); meant != "" {
		return fmt.Sprintf(" Did you mean the block %s { … }?", meant)
	}
	return list(" Its arguments are ", b.argumentNames()) + list(" Its blocks are ", b.blockNames())
}

func (b Body) hintBlock(kind string) string {
	if slices.Contains(b.argumentNames(), kind) {
		return fmt.Sprintf(" Did you mean the argument %s = …, with an equals sign?", kind)
	}
	if meant := Nearest(kind, b.blockNames()); meant != "" {
		return fmt.Sprintf(" Did you mean %s?", meant)
	}
	if meant := Nearest(kind, b.argumentNames()); meant != "" {
		return fmt.Sprintf(" Did you mean the argument %s = …?", meant)
	}
	return list(" Its blocks are ", b.blockNames())
}

// list makes a sentence of names, or nothing of none.
func list(begin string, names []string) string {
	if len(names) == 0 {
		return ""
	}
	return begin + strings.Join(names, ", ") + "."
}
