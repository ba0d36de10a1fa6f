package config

import (
	"context"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/sql"
)

func sqlKind() actionKind {
	return actionKind{name: "sql", bind: bindSQL, needsSession: true, discreet: true}
}

func bindSQL(with tools) boundAction {
	statement := sql.Statement{Pool: with.sessions, Watched: true}
	return boundAction{
		arguments: []block.Argument{
			{
				Name: "statement", Field: "SQL", Required: true, Value: constant(&statement.SQL),
				Example: `statement = "delete from session where expires_at < now()"`,
			},
			{Name: "args", Field: "Args", Value: block.List(&statement.Args)},
		},
		validate: func() error { return statement.Validate() },
		run:      func() jobs.Action { return statement.Run },
		runTx:    func() func(context.Context, pgx.Tx) error { return statement.RunTx },
	}
}

// constant takes a string that is the same for each event and tick. A value within SQL could be read as SQL.
func constant(to *string) block.Value {
	decode := block.String(to, func(block.Text) string { return "" })
	return func(d *block.Decoder, attr *hclsyntax.Attribute) {
		before := d.Mistakes()
		for _, traversal := range attr.Expr.Variables() {
			if d.IsVariable(traversal.RootName()) {
				d.Report("Variable in "+attr.Name, traversal.SourceRange(),
					"A value within SQL could be read as SQL. Write $1 in its place, without quotes, and add the "+
						"value to args.")
			}
		}
		if d.Mistakes() == before {
			decode(d, attr)
		}
	}
}
