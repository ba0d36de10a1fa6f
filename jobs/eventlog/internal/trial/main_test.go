package trial

import (
	"os"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, pgtest.Migrating(jobs.DefaultSchema, jobs.Migrate)))
}
