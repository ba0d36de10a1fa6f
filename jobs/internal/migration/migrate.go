// Package migration brings the tables of a package up to date: its migrations, what everybody may do, and the name of
// the schema where that is written into functions.
//
// It stands in jobs and in election alike, which must not import one another: a test of cmd/pgsolo compares the two.
package migration

import (
	"context"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

// Set is what a package migrates.
type Set struct {
	Files embed.FS // in the folder migrations, sorted by their names, which begin with a number

	Applied   string // the table that says which are applied
	Tables    string // what a schema lacks that was never migrated
	Ungranted string // a function that nobody is granted, and everybody may execute after a restore without privileges
	Naming    string // a function whose body has the name of the schema

	NotCurrent error // wraps what is wrong with the tables
}

// Migration is one of the files. text is for DefaultSchema, sql for the schema.
type Migration struct{ Name, text, sql, checksum string }

const undefinedTable = "42P01"

// ascii makes what migrations have beyond ASCII fit into a database of whatever encoding.
var ascii = strings.NewReplacer("…", "...")

// Load returns all migrations for a schema.
func (s Set) Load(schema string) ([]Migration, error) {
	entries, err := s.Files.ReadDir("migrations") // sorted by name, which begins with the number
	if err != nil {
		return nil, err
	}
	var all []Migration
	for _, entry := range entries {
		text, err := s.Files.ReadFile("migrations/" + entry.Name())
		if err != nil {
			return nil, err
		}
		sum := sha256.Sum256(text)
		plain := ascii.Replace(string(text))
		all = append(all, Migration{entry.Name(), plain, Place(plain, schema), hex.EncodeToString(sum[:8])})
	}
	return all, nil
}

const (
	createApplied = `create table if not exists pgsolo.%s (
		name text primary key, checksum text not null, applied_at timestamptz not null default now())`
	selectApplied = `select name, checksum from pgsolo.%s`
	insertApplied = `insert into pgsolo.%s (name, checksum) values ($1, $2)`
)

// ofApplied is a statement about the migrations that are applied in a schema.
func (s Set) ofApplied(statement, schema string) string {
	return Place(fmt.Sprintf(statement, s.Applied), schema)
}

// Migrate brings the tables in schema up to date. It gives up after bound.
func (s Set) Migrate(ctx context.Context, bound time.Duration, conn *pgx.Conn, schema string) error {
	if err := CheckName(schema); err != nil {
		return err
	}
	all, err := s.Load(schema)
	if err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	return retry(ctx, bound, conn, schema, func() error { return s.Apply(ctx, conn, schema, all) })
}

// Apply applies those of all that are pending, in one transaction, or is told what is locked.
func (s Set) Apply(ctx context.Context, conn *pgx.Conn, schema string, all []Migration) error {
	return pgx.BeginFunc(ctx, conn, func(tx pgx.Tx) error {
		if err := prepareSchema(ctx, tx, schema); err != nil {
			return err
		}
		if _, err := tx.Exec(ctx, s.ofApplied(createApplied, schema)); err != nil {
			return fmt.Errorf("prepare schema %q: %w", schema, err)
		}
		pending, newer, err := s.pending(ctx, tx, all, schema)
		if err != nil {
			return err
		}
		if newer != "" {
			return fmt.Errorf("%w: schema %q has migration %s of a newer version", s.NotCurrent, schema, newer)
		}
		applied, made := textsOf(all, pending), textsOf(all, nil)
		// What is pending may rely on it.
		if err := amendSchemaName(ctx, tx, schema, Place, applied, made); err != nil {
			return err
		}
		for _, m := range pending {
			if _, err := tx.Exec(ctx, m.sql); err != nil {
				return fmt.Errorf("apply migration %s: %w", m.Name, err)
			}
			if _, err := tx.Exec(ctx, s.ofApplied(insertApplied, schema), m.Name, m.checksum); err != nil {
				return fmt.Errorf("record migration %s: %w", m.Name, err)
			}
		}
		if err := amendSearchPath(ctx, tx, schema, made); err != nil {
			return err
		}
		return amendPrivileges(ctx, tx, schema, s.Ungranted, made)
	})
}

// textsOf are those of all but some.
func textsOf(all, but []Migration) (texts []string) {
	for _, m := range all {
		if !slices.Contains(but, m) {
			texts = append(texts, m.text)
		}
	}
	return texts
}

// Check returns NotCurrent, wrapped with what is missing or different, unless the tables are of this version.
// Those of a newer one pass: migrations keep what the version before uses, so that its replicas can go on while they
// are replaced.
func (s Set) Check(ctx context.Context, conn *pgx.Conn, schema string) error {
	all, err := s.Load(schema)
	if err != nil {
		return fmt.Errorf("load migrations: %w", err)
	}
	pending, _, err := s.pending(ctx, conn, all, schema)
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == undefinedTable {
		return fmt.Errorf("%w: schema %q has no %s: migrate it", s.NotCurrent, schema, s.Tables)
	}
	if err != nil {
		return err
	}
	if len(pending) > 0 {
		return fmt.Errorf("%w: schema %q lacks migration %s: migrate it", s.NotCurrent, schema, pending[0].Name)
	}
	renamed, err := hasOtherName(ctx, conn, schema, s.Naming)
	if renamed {
		err = fmt.Errorf("%w: schema %q was renamed, and its functions have the name before: migrate it",
			s.NotCurrent, schema)
	}
	return err
}

// pending returns those of all that are not applied yet, and the name of one that is applied and not among
// them.
func (s Set) pending(ctx context.Context, db interface {
	Query(ctx context.Context, sql string, args ...any) (pgx.Rows, error)
}, all []Migration, schema string) (pending []Migration, newer string, err error) {
	rows, err := db.Query(ctx, s.ofApplied(selectApplied, schema))
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
		sum, ok := applied[m.Name]
		if !ok {
			pending = append(pending, m)
		} else if sum != m.checksum {
			return nil, "", fmt.Errorf("%w: migration %s in schema %q differs from this version's",
				s.NotCurrent, m.Name, schema)
		}
		delete(applied, m.Name)
	}
	for name := range applied {
		newer = name
	}
	return pending, newer, nil
}
