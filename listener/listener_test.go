package listener

import (
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

func TestNewNamesTheWrongField(t *testing.T) {
	config, err := pgx.ParseConfig("host=localhost")
	if err != nil {
		t.Fatal(err)
	}
	for want, options := range map[string]Options{
		"Config is required": {},
		"pgx.ParseConfig":    {Config: &pgx.ConnConfig{}},
		"Patience is -1s":    {Config: config, Patience: -time.Second},
		"Buffer is -1":       {Config: config, Buffer: -1},
	} {
		if _, err := New(options); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("New says %v, want %q", err, want)
		}
	}
	l, err := New(Options{Config: config})
	if err != nil {
		t.Fatal(err)
	}
	if l.options.Patience != 30*time.Second || l.options.Buffer != 64 || l.options.Config == config {
		t.Errorf("the defaults are %+v", l.options)
	}
}

// A configuration may have no parameters at all.
func TestConfigWithoutParameters(t *testing.T) {
	b := setup(t)
	b.options.Config.RuntimeParams = nil
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")
	b.notify("c", "x")
	receive(t, s)
	if b.options.Config.RuntimeParams != nil {
		t.Error("the caller's configuration was changed")
	}
}

func TestCancelEndsRunAtOnce(t *testing.T) {
	t.Run("while it waits", func(t *testing.T) {
		b := setup(t)
		b.options.ProbeInterval = time.Hour
		l := b.listener()
		ended, stop := b.run(l)
		b.established(l, "c")
		if count := b.backends(); count != 1 {
			t.Errorf("%d sessions, want 1", count)
		}
		start := time.Now()
		stop()
		if err := pgtest.Within(t, "the end", ended); err != nil {
			t.Errorf("Run returned %v", err)
		}
		if took := time.Since(start); took > tardy {
			t.Errorf("it took %s", took)
		}
		pgtest.Eventually(t, "no session left", func() bool { return b.backends() == 0 })
		if l.Stats().Connected {
			t.Error("still connected")
		}
	})
	t.Run("while it cannot connect", func(t *testing.T) {
		b := setup(t)
		gate := newGate(b)
		gate.shut()
		l := b.listener()
		ended, stop := b.run(l)
		s := b.subscribe(l, "c")
		pgtest.Eventually(t, "an attempt", func() bool { return gate.refused.Load() > 0 })
		stop()
		if err := pgtest.Within(t, "the end", ended); err != nil {
			t.Errorf("Run returned %v", err)
		}
		pgtest.Within(t, "established at the end", s.Established())
	})
}

func TestRunRunsOnce(t *testing.T) {
	b := setup(t)
	l := b.listener()
	ended, stop := b.run(l)
	b.established(l, "c")
	if err := l.Run(t.Context()); err == nil {
		t.Error("a second Run beside the first is let in")
	}
	stop()
	if err := pgtest.Within(t, "the end", ended); err != nil {
		t.Fatal(err)
	}
	if err := l.Run(t.Context()); err == nil {
		t.Error("a second Run after the first is let in")
	}
}

func TestJitterStaysInTheSecondHalf(t *testing.T) {
	for range 1000 {
		if got := jitter(time.Second); got < time.Second/2 || got >= time.Second {
			t.Fatalf("jitter is %s", got)
		}
	}
}
