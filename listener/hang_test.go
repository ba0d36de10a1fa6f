package listener

import (
	"bytes"
	"context"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// halting is a connection to a server that says what it is made with and nothing more, and that reads the start of the
// connection and nothing more. Deadlines and Close are those of a pipe without a reader at its other end.
type halting struct {
	net.Conn
	says    *bytes.Reader
	begun   atomic.Bool
	starved chan struct{} // receives when something is awaited that the server does not say
	stuck   chan struct{} // receives when something is sent that the server does not read
}

func (h *halting) Read(p []byte) (int, error) {
	if h.says.Len() > 0 {
		return h.says.Read(p)
	}
	signal(h.starved)
	return h.Conn.Read(p)
}

func (h *halting) Write(p []byte) (int, error) {
	if !h.begun.Swap(true) {
		return len(p), nil
	}
	signal(h.stuck)
	return h.Conn.Write(p)
}

func signal(c chan<- struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}

// What a server says that lets every client in, and the beginning of a notice.
const (
	welcome = "R\x00\x00\x00\x08\x00\x00\x00\x00" +
		"K\x00\x00\x00\x0c\x00\x00\x00\x07\x00\x00\x00\x08" + "Z\x00\x00\x00\x05I"
	halfNotice = "N\x00\x00\x00\x64S"
)

// halt leads the listener to such a server. The channels tell what its connections wait for, and that a further one was
// made.
func halt(b *bench, says string) (starved, stuck, dialed <-chan struct{}) {
	awaiting, sending, dials := make(chan struct{}, 1), make(chan struct{}, 1), make(chan struct{}, 1)
	b.options.Config.TLSConfig, b.options.Config.Fallbacks = nil, nil
	b.options.Config.DialFunc = func(context.Context, string, string) (net.Conn, error) {
		near, far := net.Pipe()
		b.t.Cleanup(func() { _ = far.Close() })
		signal(dials)
		return &halting{Conn: near, says: bytes.NewReader([]byte(says)), starved: awaiting, stuck: sending}, nil
	}
	return awaiting, sending, dials
}

// A server that halts in the middle of a message right behind the start of the connection holds up neither the end of
// Run nor the next attempt.
func TestHalfAMessageBehindTheStart(t *testing.T) {
	t.Run("end", func(t *testing.T) {
		b := setup(t)
		b.options.ProbeInterval, b.options.Patience = time.Hour, time.Hour
		starved, _, _ := halt(b, welcome+halfNotice)
		ended, stop := b.run(b.wanted())
		pgtest.Within(t, "the rest of the message is awaited", starved)
		stop()
		if err := pgtest.Within(t, "the end", ended); err != nil {
			t.Errorf("Run returned %v", err)
		}
	})
	t.Run("next attempt", func(t *testing.T) {
		b := setup(t)
		b.options.ProbeInterval, b.options.Patience = 50*time.Millisecond, time.Hour
		_, _, dialed := halt(b, welcome+halfNotice)
		b.run(b.wanted())
		for range 3 {
			pgtest.Within(t, "an attempt", dialed)
		}
	})
}

// Nor does a server that lets the session in and then reads nothing, however long a statement may take.
func TestServerThatReadsNothing(t *testing.T) {
	b := setup(t)
	b.options.ProbeInterval, b.options.Patience = time.Hour, time.Hour
	_, stuck, _ := halt(b, welcome)
	ended, stop := b.run(b.wanted())
	pgtest.Within(t, "a statement is sent", stuck)
	stop()
	if err := pgtest.Within(t, "the end", ended); err != nil {
		t.Errorf("Run returned %v", err)
	}
}
