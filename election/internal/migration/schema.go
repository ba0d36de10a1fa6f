package migration

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultSchema is election.DefaultSchema, for which all statements are written.
const DefaultSchema = "pgsolo"

// schemaName allows what needs no quotes, so that the name can stand in SQL, in a regclass literal and in a channel
// name alike.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// CheckName refuses a name that needs quotes.
func CheckName(schema string) error {
	if !schemaName.MatchString(schema) {
		return fmt.Errorf("schema name %q: want lower-case letters, digits and underscores, at most 40", schema)
	}
	return nil
}

// Place moves a statement, written for DefaultSchema, to another one.
func Place(sql, schema string) string {
	if schema == DefaultSchema {
		return sql
	}
	return strings.ReplaceAll(sql, DefaultSchema+".", schema+".")
}
