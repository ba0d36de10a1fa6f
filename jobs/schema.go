package jobs

import (
	"embed"
	"errors"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// DefaultSchema is where the tables live unless an engine's Options say otherwise.
const DefaultSchema = pg.DefaultSchema

// ErrSchema means that the tables are missing, or of another version than this code. The remedy is Migrate, or the
// newer program.
var ErrSchema = errors.New("event log schema is not current")

//go:embed migrations/*.sql
var migrations embed.FS

const (
	tables = "event log" // what a schema lacks that was never migrated

	createMigrationsTable = `create table if not exists pgsolo.jobs_migration (
		name text primary key, checksum text not null, applied_at timestamptz not null default now())`
	selectMigrations = `select name, checksum from pgsolo.jobs_migration`
	insertMigration  = `insert into pgsolo.jobs_migration (name, checksum) values ($1, $2)`

	ungranted = "tell_cron" // only functions of the owner call it
	naming    = "ring"      // its body has the name of the schema
)

// What migrate.go takes from elsewhere in the two packages that have it.
const undefinedTable = pg.UndefinedTable

var (
	schemaName      = pg.SchemaName
	inSchema        = pg.Place
	amendPrivileges = pg.AmendPrivileges
	amendSchemaName = pg.AmendSchemaName
	hasOtherName    = pg.HasOtherName
	isLocked        = pg.IsLocked
	blocking        = pg.Blocking
)
