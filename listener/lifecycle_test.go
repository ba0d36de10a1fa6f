package listener

import (
	"context"
	"fmt"
	"net"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A context that is done before Run begins ends it without an attempt, and ends the subscriptions.
func TestRunWithCancelledContext(t *testing.T) {
	b := setup(t)
	gate := newGate(b)
	gate.shut()
	l := b.listener()
	s := b.subscribe(l, "c")
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := l.Run(ctx); err != nil {
		t.Errorf("Run returned %v", err)
	}
	pgtest.Within(t, "established at the end", s.Established())
	if _, open := <-s.Messages(); open {
		t.Error("the subscription is still open")
	}
	if b.log.String() != "" {
		t.Errorf("an end that was asked for is logged:\n%s", b.log)
	}
}

// A server that accepts the connection and says nothing holds up neither Subscribe and Close nor the end of Run.
func TestSilentServer(t *testing.T) {
	b := setup(t)
	dialed := make(chan struct{}, 100)
	b.options.Config.TLSConfig, b.options.Config.Fallbacks = nil, nil
	b.options.Config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		t.Cleanup(func() { _ = far.Close() })
		dialed <- struct{}{}
		return near, nil
	}
	l := b.listener()
	ended, stop := b.run(l)
	s := b.subscribe(l, "c")
	pgtest.Within(t, "an attempt", dialed)
	s.Close()
	pgtest.Within(t, "established upon Close", s.Established())
	other := b.subscribe(l, "d")
	l.Rename()
	stop()
	if err := pgtest.Within(t, "the end", ended); err != nil {
		t.Errorf("Run returned %v", err)
	}
	pgtest.Within(t, "established at the end", other.Established())
}

// Whatever a statement of the session waits for, the end of Run does not wait for it: each is held up on its way in
// turn.
func TestEndWhileAStatementIsUnderWay(t *testing.T) {
	for n := range 6 { // two that prepare, LISTEN, its probe; another LISTEN, the next probe
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.options.ProbeInterval = calm // until when the session waits for what is held up
			p := newProxy(b)
			held, release := make(chan struct{}), make(chan struct{})
			var mu sync.Mutex
			statements := 0
			p.alter(func(_ *link, m packet) []packet {
				if m.query() != "" {
					mu.Lock()
					this := statements
					statements++
					mu.Unlock()
					if this == n {
						close(held)
						<-release
					}
				}
				return pass(m)
			})
			l := b.listener()
			s := b.subscribe(l, "c")
			ended, stop := b.run(l)
			if n >= 4 {
				pgtest.Within(t, "established", s.Established())
				b.subscribe(l, "d")
			}
			pgtest.Within(t, fmt.Sprint("statement ", n), held)
			stop()
			if err := pgtest.Within(t, "the end", ended); err != nil {
				t.Errorf("Run returned %v", err)
			}
			close(release)
			if n := b.log.count("session lost"); n != 0 {
				t.Errorf("an end that was asked for is logged as a loss:\n%s", b.log)
			}
		})
	}
}

// Fifty listeners come and go, and are cut off meanwhile. No session and no goroutine is left.
func TestCyclesLeaveNothing(t *testing.T) {
	b := setup(t)
	before := goleak.IgnoreCurrent()
	for n := range 50 {
		l := b.listener()
		s := b.subscribe(l, "c")
		ctx, cancel := context.WithCancel(context.Background())
		ended := make(chan error, 1)
		go func() { ended <- l.Run(ctx) }()
		switch n % 3 {
		case 0:
			pgtest.Within(t, "established", s.Established())
		case 1:
			pgtest.Within(t, "established", s.Established())
			if n < 25 { // the server ends all sessions of this name, and so would end those that are left
				b.terminate()
			}
		}
		cancel()
		if err := pgtest.Within(t, "the end", ended); err != nil {
			t.Errorf("Run returned %v", err)
		}
		s.Close()
	}
	pgtest.Eventually(t, "no session left", func() bool { return b.backends() == 0 })
	if err := goleak.Find(before); err != nil {
		t.Error(err)
	}
}
