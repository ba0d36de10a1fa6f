package listener

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

// MaxPayload is the longest payload of a NOTIFY in bytes: PostgreSQL 14 to 18 want fewer than 8,000 with pages of 8 kB.
const MaxPayload = 7999

// ErrPayloadTooLong is what Notify returns for a payload above MaxPayload.
var ErrPayloadTooLong = errors.New("the payload is too long for a NOTIFY")

// Execer is a *pgx.Conn, a pgx.Tx or a *pgxpool.Pool.
type Execer interface {
	Exec(ctx context.Context, sql string, arguments ...any) (pgconn.CommandTag, error)
}

// Notify sends the payload to the channel: when db's transaction commits, or at once where it is in none. What
// PostgreSQL would refuse is refused before it is sent, so that it does not spoil the caller's transaction. In a
// database of another encoding than UTF-8 the server may refuse what passes here, or take more. Equal payloads to one
// channel within one transaction arrive once.
func Notify(ctx context.Context, db Execer, channel, payload string) error {
	if err := checkName(channel); err != nil {
		return fmt.Errorf("notify channel %q: %w", channel, err)
	}
	switch {
	case len(payload) > MaxPayload:
		return fmt.Errorf("notify channel %q: %w: it has %d bytes, and PostgreSQL takes at most %d; "+
			"write an event to a topic, whose payload has no such limit, or send a key "+
			"under which the receiver finds the rest", channel, ErrPayloadTooLong, len(payload), MaxPayload)
	case !utf8.ValidString(payload) || strings.ContainsRune(payload, 0):
		return fmt.Errorf("notify channel %q: the payload must be UTF-8 text without zero bytes; "+
			"encode other bytes, such as in base64", channel)
	}
	if _, err := db.Exec(ctx, `select pg_notify($1, $2)`, channel, payload); err != nil {
		return fmt.Errorf("notify channel %q: %w", channel, err)
	}
	return nil
}
