package pg

import (
	"fmt"
	"regexp"
	"strings"
)

// DefaultSchema is jobs.DefaultSchema, for which all statements are written.
const DefaultSchema = "pgsolo"

// SchemaName matches the names of schemas that need no quotes, so that a name can stand in SQL, in a regclass literal
// and in the name of a channel alike.
var SchemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// SchemaOrDefault returns the schema, or DefaultSchema if it is empty. A name that SchemaName does not match is an
// error.
func SchemaOrDefault(schema string) (string, error) {
	if schema == "" {
		return DefaultSchema, nil
	}
	if !SchemaName.MatchString(schema) {
		return "", fmt.Errorf("schema name %q: want lower-case letters, digits and underscores, at most 40", schema)
	}
	return schema, nil
}

// Place returns a statement, or the name of a channel or a table, that is written for DefaultSchema, for another
// schema.
func Place(sql, schema string) string {
	if schema == DefaultSchema {
		return sql
	}
	return strings.ReplaceAll(sql, DefaultSchema+".", schema+".")
}
