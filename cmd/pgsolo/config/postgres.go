package config

import (
	"fmt"
	"strings"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

func (doc *document) postgres(found *hclsyntax.Block) block.Body {
	to := &doc.config.Postgres
	return block.Body{
		Arguments: []block.Argument{
			{Name: "url", Required: true, Example: `url = env("DATABASE_URL")`,
				Value: block.String(&to.URL, checkPostgresURL)},
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

// checkPostgresURL says what is wrong with a connection URL. It never repeats a part of it, because a broken URL may
// have its password in any part, and so may the parser's message.
func checkPostgresURL(given block.Text) string {
	const form = " Write postgres://user:password@host:5432/database, with special characters of the password " +
		"percent-encoded."
	scheme, _, ok := strings.Cut(given.Value, "://")
	switch {
	case given.Value == "":
		return "The connection URL is empty." + form
	case !ok || scheme != "postgres" && scheme != "postgresql":
		return "A connection URL begins with postgres:// or postgresql://." + form
	}
	_, err := pgconn.ParseConfig(given.Value)
	switch {
	case err == nil:
		return ""
	case strings.Contains(err.Error(), "failed to configure TLS"):
		return "The TLS settings of the connection URL do not work. Check sslmode, sslrootcert, sslcert and sslkey, " +
			"and that their files exist."
	default:
		return "PostgreSQL clients cannot parse this connection URL." + form
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
