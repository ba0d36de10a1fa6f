package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// refuseUnknown reports the arguments and blocks that the grammar does not have.
func (d *decoder) refuseUnknown(in *hclsyntax.Body, owner string, grammar body) {
	for _, name := range slices.Sorted(maps.Keys(in.Attributes)) {
		if !slices.Contains(grammar.argumentNames(), name) {
			d.report("Unknown argument", in.Attributes[name].NameRange,
				"There is no argument %s in %s.%s", name, owner, grammar.hintArgument(name))
		}
	}
	for _, found := range in.Blocks {
		if !slices.Contains(grammar.blockNames(), found.Type) {
			d.report("Unknown block", found.TypeRange,
				"There is no block %s in %s.%s", found.Type, owner, grammar.hintBlock(found.Type))
		}
	}
}

func (b body) argumentNames() []string {
	names := make([]string, len(b.arguments))
	for i, argument := range b.arguments {
		names[i] = argument.name
	}
	return names
}

func (b body) blockNames() []string {
	names := make([]string, len(b.blocks))
	for i, block := range b.blocks {
		names[i] = block.kind
	}
	return names
}

// isMeant says whether an unknown argument of in is probably a misspelling of name, which is then not missing as well.
func (b body) isMeant(name string, in *hclsyntax.Body) bool {
	known := b.argumentNames()
	for given := range in.Attributes {
		if !slices.Contains(known, given) && nearest(given, known) == name {
			return true
		}
	}
	return false
}

// hintArgument says what the author of an unknown argument may have meant: a block of that name, an argument of a similar
// name, or an argument that belongs into a block further in.
func (b body) hintArgument(name string) string {
	if slices.Contains(b.blockNames(), name) {
		return fmt.Sprintf(" Did you mean the block %s { … }, without the equals sign?", name)
	}
	if meant := nearest(name, b.argumentNames()); meant != "" {
		return fmt.Sprintf(" Did you mean %s?", meant)
	}
	var owners []string
	for _, block := range b.blocks {
		if slices.Contains(block.open(&hclsyntax.Block{Type: block.kind}).argumentNames(), name) {
			owners = append(owners, block.kind)
		}
	}
	if len(owners) > 0 {
		return fmt.Sprintf(" It is an argument of the block %s.", strings.Join(owners, " and of "))
	}
	if meant := nearest(name, b.blockNames()); meant != "" {
		return fmt.Sprintf(" Did you mean the block %s { … }?", meant)
	}
	return list(" Its arguments are ", b.argumentNames()) + list(" Its blocks are ", b.blockNames())
}

func (b body) hintBlock(kind string) string {
	if slices.Contains(b.argumentNames(), kind) {
		return fmt.Sprintf(" Did you mean the argument %s = …, with an equals sign?", kind)
	}
	if meant := nearest(kind, b.blockNames()); meant != "" {
		return fmt.Sprintf(" Did you mean %s?", meant)
	}
	if meant := nearest(kind, b.argumentNames()); meant != "" {
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
