package command

import (
	"os"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// roles are what the test binary may be instead, by the environment variable that says so.
var roles = map[string]func(){}

func TestMain(m *testing.M) {
	for variable, play := range roles {
		if os.Getenv(variable) != "" {
			play()
		}
	}
	os.Exit(pgtest.Main(m))
}
