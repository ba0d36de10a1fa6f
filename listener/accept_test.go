package listener

import (
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A session on a server that is not accepted is replaced, a new one and one that is renamed, and says why.
func TestAccept(t *testing.T) {
	b := setup(t)
	b.options.ProbeInterval = calm
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	elsewhere := errors.New("that server is another one")
	var (
		refuse atomic.Bool
		told   atomic.Value
	)
	b.options.Accept = func(serverStart time.Time) error {
		told.Store(serverStart)
		if refuse.Load() {
			return elsewhere
		}
		return nil
	}
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	want := pgtest.Value[time.Time](t, b.conn, `select pg_postmaster_start_time()`)
	if got := told.Load().(time.Time); !got.Equal(want) {
		t.Errorf("the server was started at %s, and Accept was told %s", want, got)
	}
	refuse.Store(true)
	l.Rename()
	pgtest.Eventually(t, "the log to say why, of the next session too",
		func() bool { return b.log.count(elsewhere.Error()) >= 2 })
	refuse.Store(false)
	pgtest.Eventually(t, "a session", func() bool { return l.Stats().Connected && l.Stats().Reconnects > 0 })
	b.notify("c", "again")
	if got := receive(t, s); got != "again" {
		t.Errorf("received %q", got)
	}
}
