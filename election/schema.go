package election

import (
	"embed"
	"errors"
	"regexp"
	"strings"

	"github.com/pgsolo/pgsolo/election/internal/repair"
)

// DefaultSchema is where the tables live unless Options.Schema says otherwise.
const DefaultSchema = "pgsolo"

// ErrSchema means that the tables are missing, or of another version than this code. The remedy is Migrate, or the
// newer program.
var ErrSchema = errors.New("election schema is not current")

//go:embed migrations/*.sql
var migrations embed.FS

const (
	tables = "leader table" // what a schema lacks that was never migrated

	createMigrationsTable = `create table if not exists pgsolo.election_migration (
		name text primary key, checksum text not null, applied_at timestamptz not null default now())`
	selectMigrations = `select name, checksum from pgsolo.election_migration`
	insertMigration  = `insert into pgsolo.election_migration (name, checksum) values ($1, $2)`

	ungranted = "step_down" // to everybody
	naming    = "step_down" // its body has the name of the schema
)

var (
	amendPrivileges = repair.AmendPrivileges
	amendSchemaName = repair.AmendSchemaName
	hasOtherName    = repair.HasOtherName
	isLocked        = repair.IsLocked
	blocking        = repair.Blocking
)

// undefinedTable is the SQLSTATE of a table that is not there.
const undefinedTable = "42P01"

// schemaName allows what needs no quotes, so that the name can stand in SQL, in a regclass literal and in a channel
// name alike.
var schemaName = regexp.MustCompile(`^[a-z_][a-z0-9_]{0,39}$`)

// inSchema moves a statement, written for DefaultSchema, to another one.
func inSchema(sql, schema string) string {
	if schema == DefaultSchema {
		return sql
	}
	return strings.ReplaceAll(sql, DefaultSchema+".", schema+".")
}
