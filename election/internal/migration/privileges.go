package migration

import (
	"context"
	"fmt"
	"regexp"
	"strings"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
)

var (
	// What migrations take from everybody, or give to everybody. What they give to roles depends on who led then.
	ofEverybody = regexp.MustCompile(`(?m)^(grant|revoke) (?:execute|select) on ([^;]*?) (?:to|from) public;`)

	qualifiedName = regexp.MustCompile(`[a-z0-9_]+\.([a-z0-9_]+)`)
)

// selectAmends returns the statements that set right what everybody may do, and whose role has to run them.
//
// Everybody may execute a function that has no privileges of its own: so are all of them after a restore that leaves
// privileges out. A role may have been granted some since, and default privileges may have added some: $2 is a function
// that nobody is granted, which everybody may execute after such a restore alone. Without that, a grant to public is
// somebody's wish. A grant to a role always is. What everybody needs is granted again whatever the reason.
const selectAmends = `with function as (
		select p.proname as name, p.oid::regprocedure as called, p.proowner as owner, p.proacl is null as unset,
			exists (select from pg_catalog.aclexplode(coalesce(p.proacl, pg_catalog.acldefault('f', p.proowner))) a
				where a.grantee = 0) as everybody
		from pg_catalog.pg_proc p where p.pronamespace = pg_catalog.to_regnamespace($1)
	)
	select pg_catalog.format('revoke execute on function %s from public', called), pg_catalog.pg_get_userbyid(owner),
		pg_catalog.pg_has_role(owner, 'usage')
	from function where everybody and name = any($3::text[])
		and (unset or exists (select from function u where u.name = $2 and u.everybody))
	union all
	select pg_catalog.format('grant execute on function %s to public', called), pg_catalog.pg_get_userbyid(owner),
		pg_catalog.pg_has_role(owner, 'usage')
	from function where not everybody and name = any($4::text[])
	union all
	select pg_catalog.format('grant select on %s to public', c.oid::regclass), pg_catalog.pg_get_userbyid(c.relowner),
		pg_catalog.pg_has_role(c.relowner, 'usage')
	from pg_catalog.pg_class c
	where c.relnamespace = pg_catalog.to_regnamespace($1) and c.relname = any($5::text[])
		and not exists (select from pg_catalog.aclexplode(c.relacl) a
			where a.grantee = 0 and a.privilege_type = 'SELECT')`

// amendPrivileges sets right what everybody may do in the schema, as after a restore without privileges: the last that
// the texts of the migrations say about that is repeated where it does not hold. They take ungranted from everybody,
// and nobody is granted it. It fails where that is up to another role.
func amendPrivileges(ctx context.Context, tx pgx.Tx, schema, ungranted string, migrations []string) error {
	var revoked, granted, readable []string
	last := map[string]*[]string{}
	for _, text := range migrations {
		for _, statement := range ofEverybody.FindAllStringSubmatch(text, -1) {
			for _, name := range qualifiedName.FindAllStringSubmatch(statement[2], -1) {
				switch {
				case !strings.HasPrefix(statement[2], "function "):
					last[name[1]] = &readable
				case statement[1] == "revoke":
					last[name[1]] = &revoked
				default:
					last[name[1]] = &granted
				}
			}
		}
	}
	for name, list := range last {
		*list = append(*list, name)
	}
	rows, err := tx.Query(ctx, selectAmends, schema, ungranted, revoked, granted, readable)
	if err != nil {
		return fmt.Errorf("read what everybody may do: %w", err)
	}
	var (
		amend, owner string
		may          bool
		amends       []string
	)
	_, err = pgx.ForEachRow(rows, []any{&amend, &owner, &may}, func() error {
		if !may {
			return fmt.Errorf("privileges were lost: migrate as role %q or as a superuser: %s", owner, amend)
		}
		amends = append(amends, amend)
		return nil
	})
	if err != nil {
		return fmt.Errorf("read what everybody may do: %w", err)
	}
	for _, amend := range amends {
		if _, err := tx.Exec(ctx, amend); err != nil {
			return fmt.Errorf("%s: %w", amend, err)
		}
	}
	if len(amends) > 0 {
		hclog.FromContext(ctx).Named("migrate").Warn("privileges had been lost, as in a restore without them: "+
			"what everybody may do is right again, grants to roles are up to you",
			"schema", schema, "changed", len(amends), "such_as", amends[0])
	}
	return nil
}
