package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
)

// maxNameBytes is PostgreSQL's limit for identifiers and for channels of NOTIFY. Names keep to it so that they can appear in
// application_name and in identifiers.
const maxNameBytes = 63

// checkName says what is wrong with the name of an election, a topic, a handler or a cron job.
func checkName(name string) string {
	switch {
	case name == "":
		return "The name is empty. Give it one of letters, digits, _, - and dots."
	case len(name) > maxNameBytes:
		return fmt.Sprintf("The name has %d bytes; %d is the most.", len(name), maxNameBytes)
	}
	for _, r := range name {
		if !isNameRune(r) {
			return fmt.Sprintf("The name contains %q. Use letters, digits, _, - and dots.", r)
		}
	}
	return ""
}

func isNameRune(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || '0' <= r && r <= '9' || strings.ContainsRune("_-.", r)
}

// blockNames holds the first block of each kind and name.
type blockNames map[[2]string]*hclsyntax.Block

// add says whether the block has a name that no other of its kind has, and reports the second of two.
func (taken blockNames) add(d *decoder, found *hclsyntax.Block) bool {
	name := label(found)
	if name == "" {
		return false
	}
	first, ok := taken[[2]string{found.Type, name}]
	if ok {
		d.report("Duplicate name", found.LabelRanges[0],
			"There is another %s %q. Give one of them another name.", found.Type, name).
			Extra = related{"the first one", first.DefRange()}
		return false
	}
	taken[[2]string{found.Type, name}] = found
	return true
}

// checkChannel says what is wrong with the name of a channel of NOTIFY, which may be nearly anything.
func checkChannel(t text) string {
	switch {
	case t.value == "":
		return "The value is empty."
	case len(t.value) > maxNameBytes:
		return fmt.Sprintf("The value has %d bytes; PostgreSQL's limit is %d.", len(t.value), maxNameBytes)
	case strings.ContainsRune(t.value, 0):
		return "The value contains a zero byte, which PostgreSQL refuses."
	}
	return ""
}

// maxSchemaBytes leaves room in a channel's name for the schema that it belongs to.
const maxSchemaBytes = 40

func checkSchema(t text) string {
	for i, r := range t.value {
		if digit := '0' <= r && r <= '9'; !('a' <= r && r <= 'z' || r == '_' || digit && i > 0) {
			return fmt.Sprintf("%s is not a schema for pgsolo. Use lower-case letters, digits and underscores, and begin with a letter.", t.shown())
		}
	}
	switch {
	case t.value == "":
		return "The value is empty."
	case len(t.value) > maxSchemaBytes:
		return fmt.Sprintf("The name has %d bytes; %d is the most.", len(t.value), maxSchemaBytes)
	case strings.HasPrefix(t.value, "pg_"):
		return "PostgreSQL keeps names that begin with pg_ for itself. Choose another schema."
	}
	return ""
}
