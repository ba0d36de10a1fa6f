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

// What migrations say of the search_path of a function, and of the default of a column.
var (
	pinnedFunction = regexp.MustCompile(
		`(?m)^(?:create (?:or replace )?function pgsolo\.(\w+)\([^$]*?set search_path = pg_catalog, pg_temp as \$\$` +
			`|alter function pgsolo\.(\w+)\(.*\) set search_path = pg_catalog, pg_temp;)`)
	setDefault = regexp.MustCompile(`(?m)^(alter table pgsolo\.(\w+) alter column (\w+) set default .*?);`)
)

const (
	// Functions that have lost their search_path, with whose role may give it back.
	selectUnpinned = `select
			pg_catalog.format('alter function %s set search_path = pg_catalog, pg_temp', p.oid::regprocedure),
			pg_catalog.pg_get_userbyid(p.proowner), pg_catalog.pg_has_role(p.proowner, 'usage')
		from pg_catalog.pg_proc p
		where p.pronamespace = pg_catalog.to_regnamespace($1) and p.proname = any($2)
			and not coalesce(p.proconfig, '{}') @> array['search_path=pg_catalog, pg_temp']`

	// Views, and defaults of columns, that are bound to a function or an operator which is neither in this schema nor
	// PostgreSQL's. Those of pg_catalog have no row in pg_depend.
	selectBound = `select distinct c.relname, coalesce(a.attname, ''),
			pg_catalog.pg_describe_object(d.refclassid, d.refobjid, 0)
		from pg_catalog.pg_depend d
			left join pg_catalog.pg_rewrite w on d.classid = 'pg_rewrite'::regclass and w.oid = d.objid
			left join pg_catalog.pg_attrdef f on d.classid = 'pg_attrdef'::regclass and f.oid = d.objid
			join pg_catalog.pg_class c on c.oid = coalesce(w.ev_class, f.adrelid)
			left join pg_catalog.pg_attribute a on a.attrelid = f.adrelid and a.attnum = f.adnum
			left join pg_catalog.pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
			left join pg_catalog.pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
		where c.relnamespace = pg_catalog.to_regnamespace($1)
			and coalesce(p.pronamespace, o.oprnamespace) not in (c.relnamespace, 'pg_catalog'::regnamespace)`
)

// amendSearchPath sets right what names mean: functions get the search_path that the texts of the migrations gave them,
// and what was bound to somebody else's function or operator is bound anew. An earlier version bound by the search_path
// of the session that migrated, in which a role that may create in the schema public could offer another function of
// a name, with arguments that fit better. It fails where that is up to another role.
func amendSearchPath(ctx context.Context, tx pgx.Tx, schema string, migrations []string) error {
	pinned, views, defaults := map[string]bool{}, map[string]string{}, map[string]string{}
	for _, text := range migrations {
		for _, made := range pinnedFunction.FindAllStringSubmatch(text, -1) {
			pinned[made[1]+made[2]] = true
		}
		for _, made := range madeView.FindAllStringSubmatch(text, -1) {
			views[made[2]] = "create or replace " + made[1]
		}
		for _, made := range setDefault.FindAllStringSubmatch(text, -1) {
			defaults[made[2]+"."+made[3]] = made[1]
		}
	}
	amends, err := unpinned(ctx, tx, schema, slices.Sorted(maps.Keys(pinned)))
	if err != nil {
		return fmt.Errorf("read the search_path of functions: %w", err)
	}
	rows, err := tx.Query(ctx, selectBound, schema)
	if err != nil {
		return fmt.Errorf("read what is bound to functions: %w", err)
	}
	var relation, column, to string
	logger := hclog.FromContext(ctx).Named("migrate")
	if _, err := pgx.ForEachRow(rows, []any{&relation, &column, &to}, func() error {
		amend, known := views[relation]
		if column != "" {
			amend, known = defaults[relation+"."+column]
		}
		if !known { // somebody's own
			return nil
		}
		logger.Warn("it was bound to what is not PostgreSQL's, and is bound anew: see who made that, and what it does",
			"relation", schema+"."+relation, "column", column, "bound_to", to)
		if amend = Place(amend, schema); !slices.Contains(amends, amend) {
			amends = append(amends, amend)
		}
		return nil
	}); err != nil {
		return fmt.Errorf("read what is bound to functions: %w", err)
	}
	for _, amend := range amends {
		if _, err := tx.Exec(ctx, amend); err != nil {
			first, _, _ := strings.Cut(amend, "\n")
			return fmt.Errorf("%s: %w", first, err)
		}
	}
	return nil
}

// unpinned returns the statements that pin functions.
func unpinned(ctx context.Context, tx pgx.Tx, schema string, names []string) (amends []string, err error) {
	rows, err := tx.Query(ctx, selectUnpinned, schema, names)
	if err != nil {
		return nil, err
	}
	var (
		amend, owner string
		may          bool
	)
	_, err = pgx.ForEachRow(rows, []any{&amend, &owner, &may}, func() error {
		if !may {
			return fmt.Errorf("migrate as role %q or as a superuser: %s", owner, amend)
		}
		amends = append(amends, amend)
		return nil
	})
	if err == nil && len(amends) > 0 {
		hclog.FromContext(ctx).Named("migrate").Warn("functions had lost their search_path, and have it again",
			"schema", schema, "changed", len(amends), "such_as", amends[0])
	}
	return amends, err
}
