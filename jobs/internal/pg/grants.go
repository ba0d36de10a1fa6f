// This file stands in jobs and in election alike, which must not import one another: a test of cmd/pgsolo compares the
// two.

package pg

import (
	"context"
	"errors"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// selectLacking compares what is needed in the schema, as "insert, update on cursor", with what the role has by itself,
// as a member of others, as the owner or as a superuser. What is not there is not lacking.
const selectLacking = `with needed as (
		select privilege, m[2] as kind, m[3] as name
		from pg_catalog.unnest($2::text[]) n, pg_catalog.regexp_match(n, '^(.+) on (function |sequence |)(.+)$') m,
			pg_catalog.unnest(pg_catalog.string_to_array(m[1], ', ')) privilege
	), lacking as (
		select n.privilege, n.kind, n.name from needed n left join pg_catalog.pg_class c
			on c.relnamespace = to_regnamespace($1) and c.relname = n.name and n.kind <> 'function '
		where case n.kind
			when 'function ' then exists (select from pg_catalog.pg_proc p
				where p.pronamespace = to_regnamespace($1) and p.proname = n.name
					and not has_function_privilege(p.oid, n.privilege))
			when 'sequence ' then not has_sequence_privilege(c.oid, n.privilege)
			else not has_table_privilege(c.oid, n.privilege) end
	), statement as (
		select pg_catalog.format('grant usage on schema %I to %I', $1::text, current_user) as grant
		where not has_schema_privilege(to_regnamespace($1), 'usage')
		union all
		select pg_catalog.format('grant %s on %s%I.%I to %I', pg_catalog.string_agg(privilege, ', '), kind,
				$1, name, current_user)
		from lacking group by kind, name
	)
	select coalesce(pg_catalog.string_agg(s.grant, '; ' order by s.grant), '') from statement s`

// lackingTime is how long the server may take to say what is lacking.
const lackingTime = time.Second

// Lacking returns the statements that grant this session's role what it lacks of needed in the schema. It is empty
// where that is nothing, or not known.
func Lacking(ctx context.Context, db interface {
	QueryRow(ctx context.Context, sql string, args ...any) pgx.Row
}, schema string, needed []string) (grants string) {
	ctx, cancel := context.WithTimeout(ctx, lackingTime)
	defer cancel()
	if db.QueryRow(ctx, selectLacking, schema, needed).Scan(&grants) != nil {
		return ""
	}
	return grants
}

// IsNotAllowed says whether err is the server's answer that the role lacks a privilege.
func IsNotAllowed(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == "42501" && !IsRowSecurity(err)
}

// IsRowSecurity says whether the server has refused a statement because the row security of a table would hide rows
// from it. It has the SQLSTATE of a missing privilege, and a message in the server's language: what tells it is the
// function that raises it, which is the same in all versions.
func IsRowSecurity(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Routine == "check_enable_rls"
}
