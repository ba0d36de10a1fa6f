package migration

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"
)

const (
	// The search_path comes first: others may offer functions under the names that are used here. The bound is below
	// deadlock_timeout, so that none of those that wait for each other's locks is ended but the migration. Rows that
	// row security hides are not to be left out of it.
	beginMigration = `set local search_path = pg_catalog, pg_temp;
		set local lock_timeout = '400ms'; set local row_security = off`

	lockMigrations = `select pg_advisory_xact_lock(hashtext('pgsolo migrate'))`

	// Not "create schema if not exists", which wants the privilege to create one even if it exists.
	createSchema = `do $$ begin
			if to_regnamespace('%[1]s') is null then create schema %[1]s; end if;
		end $$`
)

// prepareSchema makes the transaction one that migrates, of which there is one at a time, and the schema if there is
// none. It refuses one that is up to another role.
func prepareSchema(ctx context.Context, tx pgx.Tx, schema string) error {
	for _, sql := range []string{beginMigration, lockMigrations, fmt.Sprintf(createSchema, schema)} {
		if _, err := tx.Exec(ctx, sql); err != nil {
			return fmt.Errorf("prepare schema %q: %w", schema, err)
		}
	}
	return refuseForeign(ctx, tx, schema)
}

// selectForeign returns what of the schema is up to a role that is neither the one that migrates nor a superuser, and
// the remedy. Its owner may change it at any time, and it runs as the role that uses it. That the one that migrates is
// a member of the other says nothing: before PostgreSQL 16 every role may make others its members.
const selectForeign = `with schema as (
		select n.oid, n.nspname as name, n.nspowner as owner, n.nspacl as acl from pg_catalog.pg_namespace n
		where n.oid = pg_catalog.to_regnamespace($1)
	), trusted as (
		select r.oid from pg_catalog.pg_roles r where r.rolsuper or r.rolname = current_user
	)
	select format('it belongs to role %s: migrate as that role, or, if it is not to be trusted, '
		'have a new one: alter schema %s rename to other, and see what is in it', pg_get_userbyid(owner), name)
	from schema where owner not in (select oid from trusted)
	union all
	select format(
		'role %s may create in it: revoke create on schema %s from %1$s, or migrate as that role',
		case a.grantee when 0 then 'public' else a.grantee::regrole::text end, name)
	from schema, pg_catalog.aclexplode(acl) a
	where a.privilege_type = 'CREATE' and a.grantee <> owner and a.grantee not in (select oid from trusted)
	union all
	select format('%s in it belongs to role %s: drop it, or change its owner, or migrate as that role', what,
		pg_get_userbyid(made.owner))
	from (
		select c.relnamespace as schema, c.relowner as owner, c.oid::regclass::text as what from pg_catalog.pg_class c
		where c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
		union all
		select p.pronamespace, p.proowner, p.oid::regprocedure::text from pg_catalog.pg_proc p
		union all
		select o.oprnamespace, o.oprowner, o.oid::regoperator::text from pg_catalog.pg_operator o
	) made join schema on schema.oid = made.schema
	where made.owner not in (select oid from trusted)
	limit 1`

// refuseForeign fails where the schema, or something in it, is up to another role.
func refuseForeign(ctx context.Context, tx pgx.Tx, schema string) error {
	rows, err := tx.Query(ctx, selectForeign, schema)
	if err != nil {
		return fmt.Errorf("read whose the schema %q is: %w", schema, err)
	}
	foreign, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil {
		return fmt.Errorf("read whose the schema %q is: %w", schema, err)
	}
	if len(foreign) > 0 {
		return fmt.Errorf("schema %q is not this role's alone: %s", schema, foreign[0])
	}
	return nil
}
