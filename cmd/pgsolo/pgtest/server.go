package pgtest

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// Server starts a server for one test, which may halt and resume it. It keeps its data in memory where Options.Memory
// says that it can, and stops when the test has ended.
func Server(t testing.TB, opts privatepg.Options) *privatepg.Server {
	t.Helper()
	opts.Memory = true
	server, err := privatepg.Start(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := server.Stop(); err != nil {
			t.Error(err)
		}
	})
	return server
}
