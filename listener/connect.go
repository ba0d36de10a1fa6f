package listener

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"strconv"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/listener/internal/settings"
)

// prepareSession overrides what a role or a database may set: a session that only waits must not be ended for that, and
// none of its statements takes long. The server for its part gives up a client that is gone: until then the backend
// would hold the place in the notification queue that every NOTIFY needs in the end. Never where a pooler shares the
// session: its next client would inherit all this.
const prepareSession = settings.OwnSettings + `set statement_timeout = '5s'; set lock_timeout = %d;
	set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 5; set tcp_keepalives_count = 3;
	set tcp_user_timeout = '20s'`

// selectServer is which process serves the session, and which server.
const selectServer = `select pg_catalog.pg_backend_pid(), (extract(epoch from pg_catalog.pg_postmaster_start_time())
	operator(pg_catalog.*) 1000000::numeric)::bigint`

// microseconds is an instant that the server has given as their number since 1970.
func microseconds(text string) (time.Time, error) {
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil {
		return time.Time{}, fmt.Errorf("read the start of the server: %w", err)
	}
	return time.UnixMicro(n), nil
}

// setAnyBytes is for a database without an encoding: a payload that is not UTF-8 would end a session that expects
// UTF-8.
const setAnyBytes = `; set client_encoding = 'SQL_ASCII'`

// lockTimeout is how long a statement may wait for a lock: NOTIFY needs one, and has to say in time that another
// session keeps it.
func lockTimeout(answer time.Duration) time.Duration {
	return max(time.Millisecond, min(2*time.Second, answer/2))
}

// maxUnprobed is how many changes of its channels a new session makes at most before it is probed.
const maxUnprobed = 8

// readOnly is the SQLSTATE with which a hot standby refuses LISTEN.
const readOnly = "25006"

// ErrHotStandby is the cause where the server is a hot standby, on which LISTEN does not exist. Run keeps trying: it
// may be promoted, or another host of the configuration may be.
var ErrHotStandby = errors.New("the server is a hot standby, which cannot LISTEN; connect to the primary " +
	"(with several hosts, target_session_attrs=read-write finds it)")

// connect makes one attempt at a session with LISTEN in force on every channel, which was probed if there is any.
func (l *Listener) connect(ctx context.Context) (_ *session, err error) {
	l.registry.changeAll()
	s, err := l.dialUnshared(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	wanted, _, _ := l.registry.takeChanges()
	listen, err := l.applyChanges(ctx, s, wanted, nil, true)
	if err != nil {
		return nil, err
	}
	if s.listens {
		if err := l.probe(ctx, s); err != nil {
			return nil, err
		}
	}
	reconnect := l.registry.connected(listen)
	l.logger.Info("session established", "channels", len(listen), "reconnect", reconnect, "pid", s.pid)
	return s, nil
}

// dialUnshared returns a session that has one of the server's to itself, prepared.
func (l *Listener) dialUnshared(ctx context.Context) (*session, error) {
	for checked := false; ; checked = true {
		s, err := l.dial(ctx)
		if err != nil {
			return nil, err
		}
		row, err := s.exec(ctx, selectServer)
		unshared := checked || len(row) == 2 && row[0] == fmt.Sprint(s.pid)
		if err == nil && len(row) == 2 {
			s.serverStart, err = microseconds(row[1])
		}
		if err == nil && unshared {
			statements := fmt.Sprintf(prepareSession, lockTimeout(s.timeout).Milliseconds())
			if s.anyBytes {
				statements += setAnyBytes
			}
			_, err = s.exec(ctx, statements)
		}
		if err != nil {
			s.close()
			return nil, fmt.Errorf("prepare session: %w", err)
		}
		if unshared {
			return s, nil
		}
		err = s.refuseSharing(ctx)
		s.close() // it has served its purpose
		if err != nil {
			return nil, err
		}
	}
}

// dial makes one attempt at a connection and begins to receive.
func (l *Listener) dial(ctx context.Context) (*session, error) {
	config := l.options.Config.Copy()
	config.ConnectTimeout = connectTimeout
	config.RuntimeParams["client_encoding"] = "UTF8" // names and payloads are Go strings, in whatever database
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
		conn: hijacked.Conn, in: bufio.NewReaderSize(hijacked.Conn, readBuffer), pid: hijacked.PID,
		timeout: l.options.ProbeInterval,
		replies: make(chan reply, 1), echoes: make(chan string, 1), ended: make(chan struct{}),
		probeChannel: newProbeChannel(),
	}
	s.anyBytes = hijacked.ParameterStatuses["server_encoding"] == "SQL_ASCII"
	stop := context.AfterFunc(ctx, func() { _ = hijacked.Conn.Close() })
	defer stop()
	_ = hijacked.Conn.SetReadDeadline(time.Now().Add(s.timeout)) // an error shows in the read
	// Nothing but a notice can have come after the server was ready.
	for hijacked.Frontend.ReadBufferLen() > 0 {
		if _, err := hijacked.Frontend.Receive(); err != nil {
			_ = hijacked.Conn.Close()
			return nil, fmt.Errorf("take over the connection: %w", err)
		}
	}
	if err := hijacked.Conn.SetReadDeadline(time.Time{}); err != nil {
		_ = hijacked.Conn.Close()
		return nil, fmt.Errorf("take over the connection: %w", err)
	}
	go s.receive(l.registry.deliver)
	return s, nil
}
