package migration

import "github.com/pgsolo/pgsolo/jobs/internal/pg"

// Place is pg.Place.
func Place(sql, schema string) string { return pg.Place(sql, schema) }

// CheckName refuses a name that needs quotes.
func CheckName(schema string) error {
	_, err := pg.SchemaOrDefault(schema)
	return err
}
