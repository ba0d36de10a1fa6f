package listener

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"runtime"
	"strconv"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgproto3"
)

const (
	connectTimeout = 5 * time.Second // for each host of the configuration
	closeTimeout   = time.Second     // for saying goodbye; the socket is closed in any case

	// floodTimeouts is how many of the session's timeouts an answer may take while notifications come in ahead of it.
	floodTimeouts = 10

	readBuffer = 64 << 10
	maxBatch   = 32 // notifications delivered together
)

// session is one connection, taken over from pgx as soon as the server has let it in. It is used in both directions at
// once: a goroutine of its own receives and delivers without pause, while Run's goroutine sends statements, one at a
// time. So no wait for notifications has to be interrupted when a channel changes, and no notification waits for a
// statement.
type session struct {
	conn     net.Conn
	in       *bufio.Reader // belongs to receive
	pid      uint32        // as the server, or a pooler in its place, has said at the start
	anyBytes bool          // the database has no encoding

	serverStart time.Time // pg_postmaster_start_time()

	timeout time.Duration // for the answer to a statement, while nothing else comes

	arrived atomic.Uint64                           // notifications so far
	probes  atomic.Uint64                           // sent so far, by Run's goroutine; the number is the payload
	replies chan reply                              // from receive; capacity 1, for one statement is under way at most
	echoes  chan string                             // payloads of probes that came back; capacity 1
	notice  atomic.Pointer[pgproto3.NoticeResponse] // the latest, until it is logged
	ended   chan struct{}                           // closed by receive at its end
	err     error                                   // why it ended; may be read once ended is closed

	// Only Run's goroutine uses these.
	probeChannel string // private to the session
	listens      bool   // LISTEN is in force on it: there was a subscription once
	probed       bool   // a probe has come back, or could not be sent
	probeFailed  bool   // the latest probe could not be sent, for a reason that is not the session's
	channels     int    // on how many it listens
	names        string // the server's fingerprint of their names; empty since the latest change until the next probe
	changes      int
}

// reply is the server's answer to one statement or several that were sent together.
type reply struct {
	row []string // the last one, null as ""
	err error
}

// receive takes in what the server sends until the connection ends. close waits for it. Notifications that are there
// already are delivered together: ten subscribers of one channel then get in each other's way less often.
func (s *session) receive(deliver func([]notification)) {
	defer close(s.ended)
	var r reply
	batch := make([]notification, 0, maxBatch)
	for {
		kind, body, err := s.message()
		if err == nil && kind == typeNotification {
			batch, err = s.notified(batch, body)
		} else if err == nil {
			err = s.answered(kind, body, &r)
		}
		if len(batch) > 0 && (len(batch) == maxBatch || err != nil || !s.nextIs(typeNotification)) {
			deliver(batch)
			runtime.Gosched() // a subscriber that waits takes its share before its buffer is full
			clear(batch)
			batch = batch[:0]
		}
		if err != nil {
			s.err = err
			if r.err != nil { // the server has said why
				s.err = r.err
			}
			return
		}
	}
}

// notified adds a notification to the batch, unless it is a probe that came back.
func (s *session) notified(batch []notification, body []byte) ([]notification, error) {
	channel, payload, err := decodeNotification(body)
	if err != nil {
		return batch, err
	}
	s.arrived.Add(1)
	if string(channel) != s.probeChannel {
		return append(batch, notification{channel, string(payload)}), nil
	}
	if string(payload) != strconv.FormatUint(s.probes.Load(), 10) {
		return batch, nil // not of this session
	}
	select {
	case s.echoes <- string(payload):
	default: // it is there already
	}
	return batch, nil
}

// answered takes in a part of the answer to a statement, or what the server says without being asked.
func (s *session) answered(kind byte, body []byte, r *reply) error {
	switch kind {
	case typeDataRow:
		var row pgproto3.DataRow
		if err := row.Decode(body); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		r.row = nil
		for _, value := range row.Values {
			r.row = append(r.row, string(value))
		}
	case typeErrorResponse:
		var refusal pgproto3.ErrorResponse
		if err := refusal.Decode(body); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		r.err = pgconn.ErrorResponseToPgError(&refusal)
	case typeNoticeResponse:
		var notice pgproto3.NoticeResponse
		if err := notice.Decode(body); err != nil {
			return fmt.Errorf("receive: %w", err)
		}
		s.notice.Store(&notice)
		if notice.Code == nameTooLong { // the server listens on a part of the name alone
			r.err = pgconn.ErrorResponseToPgError((*pgproto3.ErrorResponse)(&notice))
		}
	case typeReadyForQuery:
		select {
		case s.replies <- *r:
			*r = reply{}
		default:
			return errors.New("the server answers statements that were not sent")
		}
	}
	return nil
}

// exec runs statements in one round trip and returns the last row. A *pgconn.PgError may leave the session alive, no
// other error does.
func (s *session) exec(ctx context.Context, statements string) ([]string, error) {
	if err := s.conn.SetWriteDeadline(time.Now().Add(s.timeout)); err != nil {
		return nil, fmt.Errorf("send: %w", err)
	}
	stop := context.AfterFunc(ctx, func() { _ = s.conn.SetWriteDeadline(time.Now()) })
	defer stop()
	if err := s.send(&pgproto3.Query{String: statements}); err != nil {
		return nil, err
	}
	r, err := waitFor(ctx, s, s.replies, "an answer", floodTimeouts)
	if err != nil {
		return nil, err
	}
	return r.row, r.err
}

// waitFor waits for what the receiving goroutine passes on. It gives up once nothing at all has come for the session's
// timeout, and after the given number of them in any case: a long queue of notifications may lie before what it waits
// for.
func waitFor[T any](ctx context.Context, s *session, from <-chan T, what string, timeouts int) (value T, err error) {
	timer := time.NewTimer(s.timeout)
	defer timer.Stop()
	for before, n := s.arrived.Load(), 1; ; before, n = s.arrived.Load(), n+1 {
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
			if s.arrived.Load() == before || n >= timeouts {
				return value, fmt.Errorf("%s has not come within %s", what, time.Duration(n)*s.timeout)
			}
			timer.Reset(s.timeout)
		}
	}
}

// close says goodbye if the connection still takes it, closes it, and waits for the receiving goroutine.
func (s *session) close() {
	_ = s.conn.SetWriteDeadline(time.Now().Add(closeTimeout)) // no remedy for an error here
	_ = s.send(&pgproto3.Terminate{})
	conn := s.conn
	if encrypted, ok := conn.(*tls.Conn); ok {
		conn = encrypted.NetConn() // whose Close would write once more, for up to five seconds
	}
	_ = conn.Close()
	<-s.ended
}
