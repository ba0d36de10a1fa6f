package config

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/hashicorp/hcl/v2/hclsyntax"
	"github.com/jackc/pgx/v5"
	"github.com/zclconf/go-cty/cty"
	"github.com/zclconf/go-cty/cty/convert"
	ctyjson "github.com/zclconf/go-cty/cty/json"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/sql"
)

func decodeSQL(d *decoder, tools tools) boundAction {
	statement := sql.Statement{Pool: tools.sessions}
	return boundAction{
		arguments: []argument{
			{
				name: "statement", field: "SQL", required: true, decode: d.constant(&statement.SQL),
				example: `statement = "delete from session where expires_at < now()"`,
			},
			{name: "args", field: "Args", decode: d.values(&statement.Args)},
		},
		validate: func() error { return statement.Validate() },
		run:      func() jobs.Action { return statement.Run },
		runTx:    func() func(context.Context, pgx.Tx) error { return statement.RunTx },
		discreet: true,
	}
}

// constant takes a string that is the same for each event and tick. A value within SQL could be read as SQL.
func (d *decoder) constant(to *string) func(*hclsyntax.Attribute) {
	decode := d.text(to, func(text) string { return "" })
	return func(attr *hclsyntax.Attribute) {
		before := len(*d.diags)
		for _, traversal := range attr.Expr.Variables() {
			if root := traversal.RootName(); whereVariable(root) != "" {
				d.report("Variable in "+attr.Name, traversal.SourceRange(),
					"A value within SQL could be read as SQL. Write $1 in its place, without quotes, and add the value to args.")
			}
		}
		if len(*d.diags) == before {
			decode(attr)
		}
	}
}

// values takes a list whose elements may be anything, null too: scalars as they are, lists and objects as JSON. Elements that are
// not known yet have their places, so that they can be counted.
func (d *decoder) values(to *[]any) func(*hclsyntax.Attribute) {
	return func(attr *hclsyntax.Attribute) {
		late := d.late
		list, ok := d.collection(attr, "a list of values", isList)
		if !ok {
			return
		}
		d.late = late
		values := []any{}
		for key, element := range list.Elements() {
			value, err := parameter(element)
			if err != nil {
				d.report("Invalid "+attr.Name, elementRange(attr.Expr, key), "An element of %s cannot be a parameter.", attr.Name)
				return
			}
			values = append(values, value)
		}
		*to = values
	}
}

// parameter is the value for package sql, nil for one that is not known.
func parameter(value cty.Value) (any, error) {
	switch {
	case value.IsNull() || !value.IsWhollyKnown():
		return nil, nil
	case value.Type() == cty.String:
		return value.AsString(), nil
	case value.Type() == cty.Bool:
		return value.True(), nil
	case value.Type() == cty.Number:
		digits, err := convert.Convert(value, cty.String)
		if err != nil {
			return nil, fmt.Errorf("write number: %w", err)
		}
		return json.Number(digits.AsString()), nil
	}
	text, err := ctyjson.Marshal(value, value.Type())
	return json.RawMessage(text), err
}
