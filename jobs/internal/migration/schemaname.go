package migration

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
)

// What migrations make that has the name of the schema in it as text, which a rename of the schema leaves as it was.
var (
	madeFunction = regexp.MustCompile(`(?ms)^create (?:or replace )?(function pgsolo\.(\w+)\(.*?\$\$(.*?)\$\$;)`)
	madeView     = regexp.MustCompile(`(?ms)^create (?:or replace )?(view pgsolo\.(\w+).*?;$)`)
)

const (
	selectFunctions = `select p.proname, p.prosrc from pg_catalog.pg_proc p
		where p.pronamespace = pg_catalog.to_regnamespace($1)`

	selectNamesakes = `select n.nspname, p.proname, p.prosrc
		from pg_catalog.pg_proc p join pg_catalog.pg_namespace n on n.oid = p.pronamespace
		where n.nspname <> $1 and p.proname = any($2)`

	selectRenamed = `select exists (select from pg_catalog.pg_proc p
		where p.pronamespace = pg_catalog.to_regnamespace($1) and p.proname = $2
			and p.prosrc !~ pg_catalog.concat('\m', $1::text, '\.'))`
)

// amendSchemaName finds functions that have another name of their schema, since that was renamed, and makes them and
// the views anew, as the texts of the migrations that were applied did. What somebody has altered stays. place puts
// a text into a schema. Where none was applied yet, it fails if the functions of another schema have this name: then
// that is the one which was renamed, and they would use the tables of this one.
func amendSchemaName(
	ctx context.Context, tx pgx.Tx, schema string, place func(sql, schema string) string, applied, all []string,
) error {
	if len(applied) == 0 {
		return refuseRenamed(ctx, tx, schema, all)
	}
	bodies, functions, views := map[string]string{}, map[string]string{}, map[string]string{}
	for _, text := range applied {
		for _, made := range madeFunction.FindAllStringSubmatch(text, -1) {
			functions[made[2]], bodies[made[2]] = made[1], made[3]
		}
		for _, made := range madeView.FindAllStringSubmatch(text, -1) {
			views[made[2]] = made[1]
		}
	}
	rows, err := tx.Query(ctx, selectFunctions, schema)
	if err != nil {
		return fmt.Errorf("read the functions: %w", err)
	}
	var (
		name, source, other string
		amends              []string
	)
	if _, err := pgx.ForEachRow(rows, []any{&name, &source}, func() error {
		if is := schemaIn(bodies[name], source); is != "" && is != schema {
			other, amends = is, append(amends, functions[name])
		}
		return nil
	}); err != nil {
		return fmt.Errorf("read the functions: %w", err)
	}
	if other == "" {
		return nil
	}
	for _, amend := range slices.Concat(amends, slices.Collect(maps.Values(views))) {
		if _, err := tx.Exec(ctx, place("create or replace "+amend, schema)); err != nil {
			return fmt.Errorf("schema %q was %q, which its functions still name: %w", schema, other, err)
		}
	}
	hclog.FromContext(ctx).Named("migrate").Warn("the schema was renamed: its functions had the name before, and have "+
		"the new one now", "schema", schema, "before", other)
	return nil
}

// refuseRenamed finds the schema that had this name before.
func refuseRenamed(ctx context.Context, tx pgx.Tx, schema string, migrations []string) error {
	bodies := map[string][]string{}
	var names []string
	for _, text := range migrations {
		for _, made := range madeFunction.FindAllStringSubmatch(text, -1) {
			names = append(names, made[2])
			bodies[made[2]] = append(bodies[made[2]], made[3])
		}
	}
	rows, err := tx.Query(ctx, selectNamesakes, schema, names)
	if err != nil {
		return fmt.Errorf("read functions of other schemas: %w", err)
	}
	var other, name, source string
	if _, err := pgx.ForEachRow(rows, []any{&other, &name, &source}, func() error {
		for _, body := range bodies[name] {
			if schemaIn(body, source) == schema {
				return fmt.Errorf("schema %q was %q until it was renamed: use it by its name; "+
					"or, to have a new %[2]q beside it, migrate it by its name first", other, schema)
			}
		}
		return nil
	}); err != nil {
		return fmt.Errorf("read functions of other schemas: %w", err)
	}
	return nil
}

// hasOtherName says whether a function whose body has the name of its schema has another one there.
func hasOtherName(ctx context.Context, conn *pgx.Conn, schema, function string) (renamed bool, err error) {
	if err := conn.QueryRow(ctx, selectRenamed, schema, function).Scan(&renamed); err != nil {
		return false, fmt.Errorf("read how functions call their schema: %w", err)
	}
	return renamed, nil
}

// schemaIn is the schema for which the body of a function was made, or empty if it was not, or names none.
func schemaIn(body, source string) string {
	const name = "pgsolo."
	before, _, names := strings.Cut(body, name)
	rest, begins := strings.CutPrefix(source, before)
	schema, _, _ := strings.Cut(rest, ".")
	if !names || !begins || strings.ReplaceAll(body, name, schema+".") != source {
		return ""
	}
	return schema
}
