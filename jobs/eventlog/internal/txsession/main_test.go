package txsession

import (
	"os"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestMain(m *testing.M) { os.Exit(pgtest.Main(m)) }
