// This file stands in election and in jobs alike, which must not import each other: a test compares the two. What
// differs is in schema.go.

package election

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// migration is one of the files. text is for DefaultSchema, sql for the schema.
type migration struct{ name, text, sql, checksum string }

// ascii makes what migrations have beyond ASCII fit into a database of whatever encoding.
var ascii = strings.NewReplacer("…", "...")

func loadMigrations(schema string) ([]migration, error) {
	entries, err := migrations.ReadDir("migrations") // sorted by name, which begins with the number
	if err != nil {
		return nil, err
	}
	var all []migration
	for _, entry := range entries {
		text, err := migrations.ReadFile("migrations/" + entry.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		plain := ascii.Replace(string(text))
		all = append(all, migration{entry.Name(), plain, inSchema(plain, schema), hex.EncodeToString(sum[:8])})
	}
	return all, nil
}

const (
	lockMigrations = `select pg_advisory_xact_lock(hashtext('pgsolo migrate'))`

	// Not "create schema if not exists", which wants the privilege to create one even if it exists.
	createSchema = `do $$ begin
			if to_regnamespace('%[1]s') is null then create schema %[1]s; end if;
		end $$`
)

// Migrate brings the tables in schema up to date, in one transaction: all of it or nothing. It may be called at any
// time and from several processes at once. It refuses, with ErrSchema, a schema that a newer version made or whose
// applied migrations differ from this version's. It sets right what everybody may do, which a restore without
// privileges loses, and leaves what roles have been granted. Where the schema was renamed, functions get its new name.
//
// What runs goes on meanwhile: no lock is waited for longer than 0.4 s, since all that wants the table after it waits,
// too. Where another session has it for longer, Migrate tries again each second, logs who that is, to the logger that
// hclog.WithContext has put into ctx, and gives up after a minute.
func Migrate(ctx context.Context, conn *pgx.Conn, schema string) error {
	return migrateWithin(ctx, migrateBound, conn, schema)
}

func migrate(ctx context.Context, conn *pgx.Conn, schema string, all []migration) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		for _, sql := range []string{
			boundLocks, lockMigrations, fmt.Sprintf(createSchema, schema), inSchema(createMigrationsTable, schema),
		} {
			if _, err := tx.Exec(ctx, sql); err != nil {
				return fmt.Errorf("prepare schema %q: %w", schema, err)
			}
		}
		pending, newer, err := pendingMigrations(ctx, tx, all, schema)
		if err != nil {
			return err
		}
		if newer != "" {
			return fmt.Errorf("%w: schema %q has migration %s of a newer version", ErrSchema, schema, newer)
		}
		applied, made := textsOf(all, pending), textsOf(all, nil)
		// What is pending may rely on it.
		if err := amendSchemaName(ctx, tx, schema, inSchema, applied, made); err != nil {
			return err
		}
		for _, m := range pending {
			if _, err := tx.Exec(ctx, m.sql); err != nil {
				return fmt.Errorf("apply migration %s: %w", m.name, err)
			}
			if _, err := tx.Exec(ctx, inSchema(insertMigration, schema), m.name, m.checksum); err != nil {
				return fmt.Errorf("record migration %s: %w", m.name, err)
			}
		}
		return amendPrivileges(ctx, tx, schema, ungranted, made)
	})
}

// textsOf are those of all but some.
func textsOf(all, but []migration) (texts []string) {
	for _, m := range all {
		if !slices.Contains(but, m) {
			texts = append(texts, m.text)
		}
	}
	return texts
}

// CheckSchema returns ErrSchema, wrapped with what is missing or different, unless the tables are of this version.
// Those of a newer one pass: migrations keep what the version before uses, so that its replicas can go on while they
// are replaced.
func CheckSchema(ctx context.Context, conn *pgx.Conn, schema string) error {
	all, err := loadMigrations(schema)
	if err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	pending, _, err := pendingMigrations(ctx, conn, all, schema)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == undefinedTable {
		return fmt.Errorf("%w: schema %q has no %s: migrate it", ErrSchema, schema, tables)
	}
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fmt.Errorf("%w: schema %q lacks migration %s: migrate it", ErrSchema, schema, pending[0].name)
	}
	renamed, err := hasOtherName(ctx, conn, schema, naming)
	if renamed {
		err = fmt.Errorf("%w: schema %q was renamed, and its functions have the name before: migrate it",
			ErrSchema, schema)
	}
	return err
}

// pendingMigrations returns those of all that are not applied yet, and the name of one that is applied and not among
// them.
func pendingMigrations(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, all []migration, schema string) (pending []migration, newer string, err error) {
	rows, err := db.Query(ctx, inSchema(selectMigrations, schema))
	if err != nil {
		return nil, "", fmt.Errorf("read applied migrations: %w", err)
	}
	applied := map[string]string{}
	var name, checksum string
	if _, err := pgx.ForEachRow(rows, []any{&name, &checksum}, func() error {
		applied[name] = checksum
		return nil
	}); err != nil {
		return nil, "", fmt.Errorf("read applied migrations: %w", err)
	}
	for _, m := range all {
		sum, ok := applied[m.name]
		if !ok {
			pending = append(pending, m)
		} else if sum != m.checksum {
			return nil, "", fmt.Errorf("%w: migration %s in schema %q differs from this version's",
				ErrSchema, m.name, schema)
		}
		delete(applied, m.name)
	}
	for name := range applied {
		newer = name
	}
	return pending, newer, nil
}
