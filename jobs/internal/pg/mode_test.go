package pg

import (
	"testing"

	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestGivesText(t *testing.T) {
	for mode, want := range map[string]bool{
		"cache_statement": false, "cache_describe": false, "describe_exec": false,
		"exec": true, "simple_protocol": true,
	} {
		config, err := pgxpool.ParseConfig(pgtest.Database(t) + "&default_query_exec_mode=" + mode)
		if err != nil {
			t.Fatal(err)
		}
		pool, err := pgxpool.NewWithConfig(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		if got := GivesText(pool); got != want {
			t.Errorf("%s: %t", mode, got)
		}
		pool.Close()
	}
}
