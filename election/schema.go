package election

import (
	"context"
	"embed"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/election/internal/migration"
)

// DefaultSchema is where the tables live unless Options.Schema says otherwise.
const DefaultSchema = migration.DefaultSchema

// ErrSchema means that the tables are missing, or of another version than this code. The remedy is Migrate, or the
// newer program.
var ErrSchema = errors.New("election schema is not current")

//go:embed migrations/*.sql
var migrations embed.FS

var set = migration.Set{
	Files: migrations, Applied: "election_migration", Tables: "leader table",
	Ungranted: "step_down", Naming: "step_down",
	NotCurrent: ErrSchema,
}

// Migrate brings the tables in schema up to date, in one transaction: all of it or nothing. It may be called at any
// time and from several processes at once. It refuses, with ErrSchema, a schema that a newer version made or whose
// applied migrations differ from this version's. It sets right what everybody may do, which a restore without
// privileges loses, and leaves what roles have been granted. Where the schema was renamed, functions get its new name.
//
// Whatever the search_path of the session is, names mean PostgreSQL's own, and what earlier versions have bound to
// somebody else's is bound anew. A schema is refused that is up to another role than this one and superusers: by owning
// it, or something in it, or by the privilege to create there.
//
// What runs goes on meanwhile: no lock is waited for longer than 0.4 s, since all that wants the table after it waits,
// too. Where another session has it for longer, Migrate tries again each second, logs who that is, to the logger that
// hclog.WithContext has put into ctx, and gives up after a minute. Autovacuum of the tables is ended for it.
func Migrate(ctx context.Context, conn *pgx.Conn, schema string) error {
	return set.Migrate(ctx, migration.Bound, conn, schema)
}

// CheckSchema returns ErrSchema, wrapped with what is missing or different, unless the tables are of this version.
// Those of a newer one pass: migrations keep what the version before uses, so that its replicas can go on while they
// are replaced.
func CheckSchema(ctx context.Context, conn *pgx.Conn, schema string) error {
	return migration.NameGrants(ctx, conn, schema, set.Check(ctx, conn, schema))
}

var (
	inSchema = migration.Place
	isLocked = migration.IsLocked
	explain  = migration.Explain
)
