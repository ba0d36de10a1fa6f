package migration

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Explain adds who has locked the tables to the error of a statement that may have waited for them in vain, and to that
// of a role which lacks a privilege what to grant.
func Explain(ctx context.Context, conn *pgx.Conn, schema string, err error) error {
	if conn.IsClosed() || ctx.Err() != nil {
		return err
	}
	if refused, ok := errors.AsType[*pgconn.PgError](err); ok && refused.Code == "57014" || IsLocked(err) {
		return fmt.Errorf("other sessions have locks: %s: %w", Blocking(ctx, conn, schema), err)
	}
	return NameGrants(ctx, conn, schema, err)
}

// needed is what a replica needs in the schema where it does not own the tables, the optional included: to register,
// and to delete old terms and replicas.
var needed = []string{
	"select, insert, update on leader", "select, insert, update, delete on leader_term",
	"select, insert, delete on replica_session", "select on election_migration",
	"execute on function campaign", // which everybody may, unless somebody has taken that away
}

const remedy = "; remedy: "

// NameGrants adds to the server's answer that the role lacks a privilege which grants it lacks.
func NameGrants(ctx context.Context, conn *pgx.Conn, schema string, err error) error {
	if !IsNotAllowed(err) || strings.Contains(err.Error(), remedy) {
		return err
	}
	if grants := Lacking(ctx, conn, schema, needed); grants != "" {
		return fmt.Errorf("%w%s%s", err, remedy, grants)
	}
	return err
}
