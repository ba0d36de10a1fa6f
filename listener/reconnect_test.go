package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// gate stands between the listener and the server and can refuse new connections.
type gate struct {
	closed  atomic.Bool
	refused atomic.Int64
}

var errGone = errors.New("the server is gone")

func newGate(b *bench) *gate {
	g := new(gate)
	dial := b.options.Config.DialFunc
	b.options.Config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if g.closed.Load() {
			g.refused.Add(1)
			return nil, errGone
		}
		return dial(ctx, network, address)
	}
	return g
}

func (g *gate) shut() { g.closed.Store(true) }
func (g *gate) open() { g.closed.Store(false) }

func TestReconnectListensOnAllThenAnnounces(t *testing.T) {
	b := setup(t)
	l := b.listener()
	b.run(l)
	var subscriptions []*Subscription
	for i := range 50 {
		subscriptions = append(subscriptions, b.established(l, fmt.Sprint("c", i)))
	}
	for round := 1; round <= 3; round++ {
		b.terminate()
		pgtest.Within(t, "missed by the first", subscriptions[0].Missed())
		for i := range subscriptions { // LISTEN is in force on all channels, not only on that of the first
			b.notify(fmt.Sprint("c", i), fmt.Sprint(round))
		}
		for i, s := range subscriptions {
			if i > 0 {
				pgtest.Within(t, s.channel, s.Missed())
			}
			if got := receive(t, s); got != fmt.Sprint(round) {
				t.Errorf("round %d, channel %q: received %q", round, s.channel, got)
			}
		}
		if stats := l.Stats(); stats.Reconnects != uint64(round) || !stats.Connected {
			t.Errorf("round %d: stats are %+v", round, stats)
		}
	}
	// the server ends the last one in its own time
	pgtest.Eventually(t, "one session", func() bool { return b.backends() == 1 })
}

func TestBriefOutageIsNotUnhealthy(t *testing.T) {
	b := setup(t)
	gate := newGate(b)
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")

	gate.shut()
	b.terminate()
	pgtest.Eventually(t, "two attempts", func() bool { return gate.refused.Load() >= 2 })
	if l.Stats().Connected {
		t.Error("still connected")
	}
	late := b.subscribe(l, "late")
	gate.open()
	pgtest.Within(t, "missed", s.Missed())
	pgtest.Within(t, "late", late.Established())
	b.notify("c", "x")
	b.notify("late", "y")
	receive(t, s)
	receive(t, late)
	if lost, cannot := b.log.count("session lost"), b.log.count("cannot connect"); lost != 1 || cannot != 1 {
		t.Errorf("one outage has %d lines that the session is lost and %d that no other can be had", lost, cannot)
	}
}

func TestUnhealthyOnceWhenPatienceIsExhausted(t *testing.T) {
	t.Parallel()
	b := setup(t)
	gate := newGate(b)
	var calls []error // by Run's goroutine, which is awaited
	b.options.Unhealthy = func(err error) { calls = append(calls, err) }
	b.options.Patience = 3 * time.Second // in which a busy machine makes the first session
	l := b.listener()
	ended, _ := b.run(l)
	s := b.established(l, "c")

	gate.shut()
	b.terminate()
	err := pgtest.Within(t, "the end", ended)
	if !errors.Is(err, errGone) {
		t.Errorf("Run returned %v, which does not wrap the cause", err)
	}
	if len(calls) != 1 || !errors.Is(calls[0], errGone) {
		t.Errorf("unhealthy was called with %v", calls)
	}
	if attempts := gate.refused.Load(); attempts < 2 {
		t.Errorf("%d attempts", attempts)
	}
	if _, open := <-s.Messages(); open {
		t.Error("the subscription is still open")
	}
	if _, err := l.Subscribe("c"); !errors.Is(err, ErrEnded) {
		t.Errorf("subscribing after the end gives %v", err)
	}
}

// Patience may end in the middle of an attempt. The error then names what went wrong before, not that time was up.
func TestTheEndOfPatienceIsNotTheCause(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var dials atomic.Int64
	b.options.Config.Fallbacks = nil
	b.options.Config.DialFunc = func(ctx context.Context, _, _ string) (net.Conn, error) {
		if dials.Add(1) == 1 {
			return nil, errGone
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	b.options.Patience = 2 * time.Second // in which a busy machine makes the first attempt
	ended, _ := b.run(b.wanted())
	if err := pgtest.Within(t, "the end", ended); !errors.Is(err, errGone) {
		t.Errorf("Run returned %v", err)
	}
}

func TestPermanentRefusalEndsRunAtOnce(t *testing.T) {
	for name, test := range map[string]struct {
		change func(t *testing.T, config *pgx.ConnConfig)
		want   string
	}{
		"missing database": {func(_ *testing.T, c *pgx.ConnConfig) { c.Database = "no_such_database" }, "3D000"},
		"unknown user":     {func(_ *testing.T, c *pgx.ConnConfig) { c.User = "no_such_user" }, "28"},
		"wrong password":   {refusePassword, "28P01"},
	} {
		t.Run(name, func(t *testing.T) {
			b := setup(t)
			test.change(t, b.options.Config)
			b.options.Patience = time.Hour
			var calls []error // by Run's goroutine, which is awaited
			b.options.Unhealthy = func(err error) { calls = append(calls, err) }
			ended, _ := b.run(b.wanted())
			err := pgtest.Within(t, "the end", ended)
			if err == nil || !strings.Contains(err.Error(), test.want) ||
				strings.Contains(err.Error(), "confidential") {
				t.Errorf("Run returned %v", err)
			}
			if len(calls) != 1 {
				t.Errorf("unhealthy was called with %v", calls)
			}
		})
	}
}

// refusePassword answers every connection as PostgreSQL answers a wrong password: the tests' own server may trust
// everyone.
func refusePassword(t *testing.T, config *pgx.ConnConfig) {
	config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		client, server := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer func() { _ = server.Close() }()
			backend := pgproto3.NewBackend(server, server)
			if _, err := backend.ReceiveStartupMessage(); err != nil {
				return
			}
			backend.Send(&pgproto3.ErrorResponse{Severity: "FATAL", Code: "28P01",
				Message: "password authentication failed"})
			_ = backend.Flush()
		}()
		t.Cleanup(func() { <-done })
		return client, nil
	}
	config.TLSConfig, config.Fallbacks = nil, nil
	config.Password = "confidential"
}

func TestHalfOpenSocketIsFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	cut := newCut(b)
	b.options.ProbeInterval = calm
	l := b.listener()
	b.run(l)
	s := b.established(l, "c")

	cut.now()
	pgtest.Within(t, "missed", s.Missed())
	b.notify("c", "after")
	if got := receive(t, s); got != "after" {
		t.Errorf("received %q", got)
	}
	if reconnects := l.Stats().Reconnects; reconnects != 1 {
		t.Errorf("%d reconnects, want 1", reconnects)
	}
	if dials := cut.dials.Load(); dials != 2 {
		t.Errorf("%d connections were opened, want 2: none to cancel a statement on the old one", dials)
	}
}

// cut relays the listener's first connection until it is told to drop whatever it reads, without closing anything.
type cut struct {
	silent atomic.Bool
	dials  atomic.Int64
}

func newCut(b *bench) *cut {
	c := new(cut)
	dial := b.options.Config.DialFunc
	b.options.Config.TLSConfig, b.options.Config.Fallbacks = nil, nil
	b.options.Config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		server, err := dial(ctx, network, address)
		if c.dials.Add(1) > 1 || err != nil {
			return server, err
		}
		near, far := net.Pipe()
		done := make(chan struct{}, 2)
		go c.relay(far, server, done)
		go c.relay(server, far, done)
		b.t.Cleanup(func() {
			_, _ = far.Close(), server.Close()
			<-done
			<-done
		})
		return near, nil
	}
	return c
}

func (c *cut) now() { c.silent.Store(true) }

func (c *cut) relay(to, from net.Conn, done chan<- struct{}) {
	defer func() { done <- struct{}{} }()
	buffer := make([]byte, 1<<16)
	for {
		n, err := from.Read(buffer)
		if err != nil {
			return
		}
		if c.silent.Load() {
			continue
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}
