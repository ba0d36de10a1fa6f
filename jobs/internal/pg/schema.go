package pg

import (
	"fmt"
	"regexp"
	"strings"
)

func SchemaOrDefault(schema string) (string, error) {
	if schema == "" {
		return DefaultSchema, nil
	}
	if !SchemaName.MatchString(schema) {
		return "", fmt.Errorf("schema name %q: want lower-case letters, digits and underscores, at most 40", schema)
	}
	return schema, nil
}

// DefaultSchema is jobs.DefaultSchema, for which all statements are written.
const DefaultSchema = "pgsolo"

// SchemaName allows what needs no quotes, so that the name can stand in SQL, in a regclass literal and in a channel name alike.
var SchemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// Place moves a statement, written for DefaultSchema, to another one.
func Place(sql, schema string) string {
	if schema == DefaultSchema {
		return sql
	}
	return strings.ReplaceAll(sql, DefaultSchema+".", schema+".")
}
