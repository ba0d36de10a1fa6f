package listener

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgconn"
)

// prepareSession overrides what a role or a database may set: a session that only waits must not be ended for that, and none of
// its statements takes long. The server for its part gives up a client that is gone: until then the backend would hold the
// place in the notification queue that everybody's NOTIFY needs in the end. Never where a pooler shares the session: its next
// client would inherit all this.
const prepareSession = `set idle_session_timeout = 0; set statement_timeout = '5s'; set lock_timeout = %d;
	set standard_conforming_strings = on; set tcp_keepalives_idle = 5; set tcp_keepalives_interval = 5;
	set tcp_keepalives_count = 3; set tcp_user_timeout = '20s'`

// setAnyBytes is for a database that knows no encoding: a payload that is not UTF-8 would end a session that is told to expect it.
const setAnyBytes = `; set client_encoding = 'SQL_ASCII'`

// lockTimeout is how long a statement may wait for a lock: NOTIFY needs one, and has to say in time that somebody else keeps it.
func lockTimeout(answer time.Duration) time.Duration {
	return max(time.Millisecond, min(2*time.Second, answer/2))
}

// maxUnproven is how many changes of its channels a new session makes at most before it proves that it delivers.
const maxUnproven = 8

// readOnly is the SQLSTATE with which a hot standby refuses LISTEN.
const readOnly = "25006"

// ErrHotStandby is the cause where the server is a hot standby, on which LISTEN does not exist. Run keeps trying: it may be
// promoted, or another host of the configuration may be.
var ErrHotStandby = errors.New("the server is a hot standby, which cannot LISTEN; connect to the primary " +
	"(with several hosts, target_session_attrs=read-write finds it)")

// connect makes one attempt at a session with LISTEN in force on every channel, that has proven to deliver if it has any.
func (l *Listener) connect(ctx context.Context) (_ *session, err error) {
	l.wantAll()
	s, err := l.dialUnshared(ctx)
	if err != nil {
		return nil, err
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	wanted, _, _ := l.takeChanges()
	listen, err := l.changeAll(ctx, s, wanted, nil, true)
	if err != nil {
		return nil, err
	}
	if s.listens {
		if err := l.prove(ctx, s); err != nil {
			return nil, err
		}
	}
	reconnect := l.connected(listen)
	l.logger.Info("session established", "channels", len(listen), "reconnect", reconnect, "pid", s.pid)
	return s, nil
}

// dialUnshared returns a session that has one of the server's to itself, prepared.
func (l *Listener) dialUnshared(ctx context.Context) (*session, error) {
	for proven := false; ; proven = true {
		s, err := l.dial(ctx)
		if err != nil {
			return nil, err
		}
		row, err := s.exec(ctx, `select pg_backend_pid()`)
		unshared := proven || len(row) == 1 && row[0] == fmt.Sprint(s.pid)
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

// serve keeps LISTEN in line with the subscriptions and proves the session until it is lost or ctx is done.
func (l *Listener) serve(ctx context.Context, s *session) error {
	probe := time.NewTicker(l.options.ProbeInterval)
	defer probe.Stop()
	for {
		l.logEpisodes()
		if listen, unlisten, rename := l.takeChanges(); len(listen)+len(unlisten) > 0 || rename {
			inForce, err := l.changeAll(ctx, s, listen, unlisten, rename)
			if err != nil {
				return err
			}
			l.established(inForce)
		}
		// A session that has not delivered yet proves it at once, but lets what gathered during its first change come first.
		if s.listens && !s.proven && (len(l.wake) == 0 || s.changes > maxUnproven) {
			if err := l.prove(ctx, s); err != nil {
				return err
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-s.ended:
			return fmt.Errorf("wait for notification: %w", s.err)
		case <-l.wake:
			l.gather()
		case <-probe.C:
			if l.unused() { // nobody would miss it
				continue
			}
			if err := l.prove(ctx, s); err != nil {
				return err
			}
		}
	}
}

// gather lets a burst of subscriptions come to its end, so that they share a LISTEN. A single one is kept for some microseconds.
func (l *Listener) gather() {
	const quiet, longest = 16, time.Millisecond
	began := time.Now()
	for last, same := l.calls.Load(), 0; same < quiet && time.Since(began) < longest; same++ {
		runtime.Gosched()
		if calls := l.calls.Load(); calls != last {
			last, same = calls, 0
		}
	}
}

const (
	// maxChange is how many channels at most change in one transaction: the server compares each with all that it listens on.
	maxChange = 2000

	// The SQLSTATEs for a name with a character that the database's encoding lacks, and for one that is too long in that encoding.
	untranslatable = "22P05"
	nameTooLong    = "42622"
)

// changeAll is change in as many transactions as it takes, and returns the channels that LISTEN is in force for now. A name that the
// server does not take is found by halves and refused, so that it does not spoil the LISTEN of all.
func (l *Listener) changeAll(ctx context.Context, s *session, listen, unlisten []string, rename bool) (inForce []string, err error) {
	for len(listen)+len(unlisten) > 0 || rename {
		n, m := min(len(listen), maxChange), min(len(unlisten), maxChange)
		done, err := listen[:n], l.change(ctx, s, listen[:n], unlisten[:m], rename)
		refusal, ok := errors.AsType[*pgconn.PgError](err)
		if ok && n > 0 && (refusal.Code == untranslatable || refusal.Code == nameTooLong) {
			if n == 1 {
				l.refuse(listen[0], err)
				// What the server has left of a name that is too long it listens on. Taking that back is refused in the same way.
				_, err := s.exec(ctx, string(appendStatement(nil, `unlisten "`, listen[0])))
				if _, ok := errors.AsType[*pgconn.PgError](err); err != nil && !ok {
					return nil, err
				}
				listen = listen[1:]
				continue
			}
			var rest []string
			if done, err = l.changeAll(ctx, s, listen[:n/2], unlisten[:m], rename); err == nil {
				rest, err = l.changeAll(ctx, s, listen[n/2:n], nil, false)
			}
			done = append(slices.Clone(done), rest...)
		}
		if err != nil {
			return nil, err
		}
		inForce = append(inForce, done...)
		listen, unlisten, rename = listen[n:], unlisten[m:], false
	}
	return inForce, nil
}

// change brings LISTEN and the session's name up to date in one round trip and one transaction. The channel of the probes
// comes with the first one that somebody subscribes to. After an error other than a refused name it is unknown which LISTEN is in
// force, so it ends the session.
func (l *Listener) change(ctx context.Context, s *session, listen, unlisten []string, rename bool) error {
	all := listen
	if len(listen) > 0 && !s.listens {
		all = append([]string{s.probe}, listen...)
	}
	statements := make([]byte, 0, 40*(1+len(all)+len(unlisten)))
	if rename && l.options.SessionName != nil {
		statements = append(statements, "set application_name = "+quoteName(l.options.SessionName())+"; "...)
	}
	for _, channel := range all {
		statements = appendStatement(statements, `listen "`, channel)
	}
	for _, channel := range unlisten {
		statements = appendStatement(statements, `unlisten "`, channel)
	}
	if len(statements) == 0 {
		return nil
	}
	_, err := s.exec(ctx, string(statements))
	if refusal, ok := errors.AsType[*pgconn.PgError](err); ok && refusal.Code == readOnly {
		return ErrHotStandby
	}
	if err != nil {
		return fmt.Errorf("listen on %d channels more, and leave %d: %w", len(listen), len(unlisten), err)
	}
	s.listens = s.listens || len(all) > 0
	s.channels += len(all) - len(unlisten)
	s.names = ""
	s.changes++
	return nil
}

// appendStatement adds a statement on a channel. Its name cannot hold a zero byte.
func appendStatement(statements []byte, begin, channel string) []byte {
	statements = append(statements, begin...)
	if strings.IndexByte(channel, '"') >= 0 {
		channel = strings.ReplaceAll(channel, `"`, `""`)
	}
	return append(append(statements, channel...), `";`...)
}

// quoteName makes a literal of a session's name. PostgreSQL keeps printable ASCII of it alone, and refuses the statement for some of
// the rest. It would cut a long one, too, but with the notice that is taken for that of a channel.
func quoteName(name string) string {
	name = strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' {
			return '?'
		}
		return r
	}, name)
	name = name[:min(len(name), maxName)]
	return "'" + strings.ReplaceAll(name, "'", "''") + "'"
}
