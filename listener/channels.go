package listener

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// maxChange is how many channels at most change in one transaction: the server compares each with all that it
	// listens on.
	maxChange = 2000

	// The SQLSTATEs for a name with a character that the database's encoding lacks, and for one that is too long in
	// that encoding.
	untranslatable = "22P05"
	nameTooLong    = "42622"
)

// applyChanges is change in as many transactions as it takes, and returns the channels that LISTEN is in force for now.
// A name that the server does not take is found by halves and rejected, so that it does not spoil the LISTEN of all.
func (l *Listener) applyChanges(
	ctx context.Context, s *session, listen, unlisten []string, rename bool,
) (inForce []string, err error) {
	for len(listen)+len(unlisten) > 0 || rename {
		n, m := min(len(listen), maxChange), min(len(unlisten), maxChange)
		done, err := listen[:n], l.change(ctx, s, listen[:n], unlisten[:m], rename)
		refusal, ok := errors.AsType[*pgconn.PgError](err)
		if ok && n > 0 && (refusal.Code == untranslatable || refusal.Code == nameTooLong) {
			if n == 1 {
				l.registry.reject(listen[0])
				l.logger.Error("the server takes no such channel; its subscriptions have ended",
					"channel", listen[0], "error", err)
				// What the server has left of a name that is too long it listens on. Taking that back is refused in the
				// same way.
				_, err := s.exec(ctx, string(appendStatement(nil, `unlisten "`, listen[0])))
				if _, ok := errors.AsType[*pgconn.PgError](err); err != nil && !ok {
					return nil, err
				}
				listen = listen[1:]
				continue
			}
			var rest []string
			if done, err = l.applyChanges(ctx, s, listen[:n/2], unlisten[:m], rename); err == nil {
				rest, err = l.applyChanges(ctx, s, listen[n/2:n], nil, false)
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

// change brings LISTEN and the session's name up to date in one round trip and one transaction. The channel of the
// probes comes with the first of a subscription. After an error other than a rejected name it is unknown which LISTEN
// is in force, so it ends the session.
func (l *Listener) change(ctx context.Context, s *session, listen, unlisten []string, rename bool) error {
	all := listen
	if len(listen) > 0 && !s.listens {
		all = append([]string{s.probeChannel}, listen...)
	}
	if rename && l.options.Accept != nil {
		if err := l.options.Accept(s.serverStart); err != nil {
			return err
		}
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

// quoteName makes a literal of a session's name. PostgreSQL keeps printable ASCII of it alone, and refuses the
// statement for some of the rest. It would cut a long one, too, but with the notice that is taken for that of a
// channel.
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
