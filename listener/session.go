package listener

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	connectTimeout = 5 * time.Second // for each host of the configuration
	closeTimeout   = time.Second     // for saying goodbye; the socket is closed in any case
)

// session is one connection, taken over from pgx as soon as the server has let it in. It is used in both directions at once:
// a goroutine of its own receives and delivers without pause, while Run's goroutine sends statements, one at a time. So no wait
// for notifications has to be interrupted when a channel changes, and no notification waits for a statement.
type session struct {
	conn     net.Conn
	frontend *pgproto3.Frontend // its sending half belongs to Run's goroutine, its receiving half to receive
	pid      uint32             // as the server, or a pooler in its place, has said at the start
	logger   hclog.Logger
	timeout  time.Duration // for the answer to a statement, while nothing else comes

	arrived atomic.Uint64 // notifications so far
	replies chan reply    // from receive; capacity 1, since one statement is under way at most
	echoes  chan string   // payloads of probes that came back; capacity 1
	ended   chan struct{} // closed by receive at its end
	err     error         // why it ended; may be read once ended is closed

	// Only Run's goroutine uses these.
	probe       string // the private channel of the probes
	probes      uint64
	listens     bool // the session listens on it: somebody subscribed once
	probeFailed bool // the latest probe could not be sent, for a reason that is not the session's
	fingerprint fingerprint
}

// reply is the server's answer to one statement or several that were sent together.
type reply struct {
	row []string // the last one, null as ""
	err error
}

// dial makes one attempt at a connection and begins to receive.
func (l *Listener) dial(ctx context.Context) (*session, error) {
	config := l.options.Config.Copy()
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["client_encoding"] = "UTF8" // names and payloads are Go strings, whatever the database's encoding
	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return nil, err
	}
	hijacked, err := conn.Hijack()
	if err != nil {
		_ = conn.Close(ctx)
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	s := &session{
		conn: hijacked.Conn, frontend: hijacked.Frontend, pid: hijacked.PID, logger: l.logger, timeout: l.options.ProbeInterval,
		replies: make(chan reply, 1), echoes: make(chan string, 1), ended: make(chan struct{}),
		probe: newProbeChannel(),
	}
	go s.receive(l.deliver)
	return s, nil
}

// receive takes in whatever the server sends until the connection ends. close waits for it.
func (s *session) receive(deliver func(channel, payload string)) {
	defer close(s.ended)
	var r reply
	for {
		message, err := s.frontend.Receive()
		if err != nil {
			s.err = err
			if r.err != nil { // the server has said why
				s.err = r.err
			}
			return
		}
		switch message := message.(type) {
		case *pgproto3.NotificationResponse:
			s.arrived.Add(1)
			if message.Channel != s.probe {
				deliver(message.Channel, message.Payload)
				continue
			}
			select {
			case s.echoes <- message.Payload:
			default: // nobody waits for it
			}
		case *pgproto3.DataRow:
			r.row = r.row[:0:0]
			for _, value := range message.Values {
				r.row = append(r.row, string(value))
			}
		case *pgproto3.ErrorResponse:
			r.err = pgconn.ErrorResponseToPgError(message)
		case *pgproto3.NoticeResponse:
			s.logger.Debug("notice of the server", "severity", message.Severity, "message", message.Message)
		case *pgproto3.ReadyForQuery:
			select {
			case s.replies <- r:
			default:
				s.err = errors.New("the server answers statements that were not sent")
				return
			}
			r = reply{}
		}
	}
}

// exec runs statements in one round trip and returns the last row. A *pgconn.PgError may leave the session alive, no other error does.
func (s *session) exec(ctx context.Context, statements string) ([]string, error) {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	s.frontend.SendQuery(&pgproto3.Query{String: statements})
	if err := s.frontend.Flush(); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	r, err := waitFor(ctx, s, s.replies, "an answer")
	if err != nil {
		return nil, err
	}
	return r.row, r.err
}

// waitFor waits for what the receiving goroutine passes on. It gives up once nothing at all has come for the session's timeout:
// a long queue of notifications may lie before what it waits for.
func waitFor[T any](ctx context.Context, s *session, from <-chan T, what string) (value T, err error) {
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	for before := s.arrived.Load(); ; before = s.arrived.Load() {
		select {
		case value = <-from:
			return value, nil
		case <-ctx.Done():
			return value, ctx.Err()
		case <-s.ended:
			select { // it came together with the end
			case value = <-from:
				return value, nil
			default:
				return value, s.err
			}
		case <-timer.C:
			if s.arrived.Load() == before {
				return value, fmt.Errorf("%s has not come within %s", what, s.timeout)
			}
			timer.Reset(s.timeout)
		}
	}
}

// close says goodbye if the connection still takes it, closes it, and waits for the receiving goroutine.
func (s *session) close() {
	_ = s.conn.SetWriteDeadline(time.Now().Add(closeTimeout)) // nobody can do anything about an error here
	s.frontend.Send(&pgproto3.Terminate{})
	_ = s.frontend.Flush()
	conn := s.conn
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn() // whose Close would write once more, for up to five seconds
	}
	_ = conn.Close()
	<-s.ended
}
