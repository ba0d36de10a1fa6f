package fleet

import (
	"os"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

func TestMain(m *testing.M) { os.Exit(privatepg.Main(m)) }
