package listener

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"sync/atomic"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
)

const (
	connectTimeout = 5 * time.Second // for each host of the configuration
	closeTimeout   = time.Second     // for saying goodbye; the socket is closed in any case
)

// prepareSession overrides what a role or a database may set: a session that only waits must not be ended for that.
const prepareSession = `set idle_session_timeout = 0; set statement_timeout = '5s'; `

const keepaliveQuery = `select 1`

// session is one connection. Only Run's goroutine uses it.
type session struct {
	conn      *pgconn.PgConn
	timeout   time.Duration
	roundTrip time.Time // when the server last answered a statement
}

// connect makes one attempt at a session with LISTEN in force on every channel.
func (l *Listener) connect(ctx context.Context) (*session, error) {
	config := l.options.Config.Copy()
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["client_encoding"] = "UTF8" // names and payloads are Go strings, whatever the database's encoding
	config.OnNotification = func(_ *pgconn.PgConn, n *pgconn.Notification) { l.deliver(n.Channel, n.Payload) }

	// When pgx gives up a broken connection, it dials once more to cancel the statement, for up to 15 s. A session that only
	// LISTENs has nothing to cancel, and close would have to wait for it.
	var dialed atomic.Bool
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if dialed.Load() {
			return nil, errors.New("a listener sends no cancel requests")
		}
		return dial(ctx, network, address)
	}

	conn, err := pgconn.ConnectConfig(ctx, &config.Config)
	if err != nil {
		return nil, err
	}
	dialed.Store(true)

	s := &session{conn: conn, timeout: l.timeout}
	l.wantAll()
	listen, _, _ := l.takeChanges()
	if err := s.exec(ctx, prepareSession+l.nameStatement()+listenStatements(listen, nil)); err != nil {
		s.close()
		return nil, fmt.Errorf("listen on %d channels: %w", len(listen), err)
	}
	reconnect := l.connected(listen)
	l.logger.Info("session established", "channels", len(listen), "reconnect", reconnect, "pid", conn.PID())
	return s, nil
}

// serve keeps LISTEN in line with the subscriptions and delivers until the session is lost or ctx is done.
func (l *Listener) serve(ctx context.Context, s *session) error {
	for ctx.Err() == nil {
		if listen, unlisten, rename := l.takeChanges(); len(listen)+len(unlisten) > 0 || rename {
			if err := s.exec(ctx, l.nameStatement()+listenStatements(listen, unlisten)); err != nil {
				return fmt.Errorf("change channels: %w", err)
			}
			l.established(listen)
		}
		if err := l.wait(ctx, s); err != nil {
			return fmt.Errorf("wait for notification: %w", err)
		}
		if time.Since(s.roundTrip) >= l.keepalive && l.unused() {
			s.roundTrip = time.Now() // nobody would miss it
		} else if time.Since(s.roundTrip) >= l.keepalive {
			if err := s.exec(ctx, keepaliveQuery); err != nil {
				return fmt.Errorf("ask for a sign of life: %w", err)
			}
		}
	}
	return nil
}

// wait delivers until a channel changes, a keepalive is due, ctx is done or the session is lost; only the last is an error.
// To end the wait by its context leaves the connection usable, other than with a statement.
func (l *Listener) wait(ctx context.Context, s *session) error {
	ctx, cancel := context.WithDeadline(ctx, s.roundTrip.Add(l.keepalive))
	defer cancel()

	l.mu.Lock()
	l.interrupt = cancel
	if len(l.changed) > 0 || l.rename { // since takeChanges: nobody could interrupt then
		cancel()
	}
	l.mu.Unlock()

	var err error
	for err == nil {
		err = s.conn.WaitForNotification(ctx) // delivers through OnNotification
	}

	l.mu.Lock()
	l.interrupt = nil
	l.mu.Unlock()

	if ctx.Err() != nil && !s.conn.IsClosed() {
		return nil
	}
	return err
}

// exec runs statements in one round trip and one transaction. An error of any kind ends the session: pgx closes it at the
// deadline, and after a refusal it is unknown which LISTEN is in force.
func (s *session) exec(ctx context.Context, statements string) error {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	if _, err := s.conn.Exec(ctx, statements).ReadAll(); err != nil {
		return err
	}
	s.roundTrip = time.Now()
	return nil
}

// close says goodbye if the connection still works, closes it, and waits for the goroutine with which pgx clears up a
// connection that broke.
func (s *session) close() {
	ctx, cancel := context.WithTimeout(context.Background(), closeTimeout)
	defer cancel()
	_ = s.conn.Close(ctx) // nobody can do anything about an error here
	_ = s.conn.Conn().Close()
	<-s.conn.CleanupDone()
}

// nameStatement sets the application_name.
func (l *Listener) nameStatement() string {
	if l.options.SessionName == nil {
		return ""
	}
	return "set application_name = '" + strings.ReplaceAll(l.options.SessionName(), "'", "''") + "'; "
}

func listenStatements(listen, unlisten []string) string {
	var statements strings.Builder
	for _, channel := range listen {
		statements.WriteString("listen " + pgx.Identifier{channel}.Sanitize() + ";")
	}
	for _, channel := range unlisten {
		statements.WriteString("unlisten " + pgx.Identifier{channel}.Sanitize() + ";")
	}
	return statements.String()
}
