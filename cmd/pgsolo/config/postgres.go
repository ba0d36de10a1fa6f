package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

func (doc *document) postgres(found *hclsyntax.Block) block.Body {
	to := &doc.config.Postgres
	return block.Body{
		Arguments: []block.Argument{
			{Name: "url", Required: true, Example: `url = env("DATABASE_URL")`,
				Value: block.String(&to.URL, func(t block.Text) string { return checkPostgresURL(t.Value) })},
			{Name: "schema", Value: block.String(&to.Schema, checkSchema)},
			{Name: "notify", Value: block.Boolean(&to.Notify)},
			{Name: "forget_after", Value: block.Duration(&to.ForgetAfter, block.NotNegative)},
			{Name: "max_sessions", Value: block.AtLeast(minSessions, &to.MaxSessions)},
		},
		Finish: func() {
			if !to.Notify {
				doc.silent = found.Body.Attributes["notify"]
			}
		},
	}
}

// maxSchemaBytes leaves room in a channel's name for the schema that it belongs to.
const maxSchemaBytes = 40

func checkSchema(t block.Text) string {
	for i, r := range t.Value {
		if digit := '0' <= r && r <= '9'; !('a' <= r && r <= 'z' || r == '_' || digit && i > 0) {
			return fmt.Sprintf("%s is not a schema for pgsolo. Use lower-case letters, digits and underscores, and "+
				"begin with a letter.", t.Shown())
		}
	}
	switch {
	case t.Value == "":
		return "The value is empty."
	case len(t.Value) > maxSchemaBytes:
		return fmt.Sprintf("The name has %d bytes; %d is the most.", len(t.Value), maxSchemaBytes)
	case strings.HasPrefix(t.Value, "pg_"):
		return "PostgreSQL keeps names that begin with pg_ for itself. Choose another schema."
	}
	return ""
}
