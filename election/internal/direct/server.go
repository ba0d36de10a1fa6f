package direct

import (
	"context"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/jackc/pgx/v5"
)

// Server is a start of the server, as a session finds it. It does not change while the session lasts: a restart, and
// one after a crash, ends every session.
type Server struct {
	Start string        // names it
	Begun time.Time     // pg_postmaster_start_time()
	At    time.Time     // by the server's clock
	Up    time.Duration // since then, likewise
}

// After a crash the postmaster goes on, and the statistics begin anew, which every role may see. They also do when an
// administrator resets them: then a successor without need waits for a lease.
const selectServer = `select pg_is_in_recovery(), pg_postmaster_start_time(),
		extract(epoch from pg_postmaster_start_time())::text
			|| '/' || coalesce(extract(epoch from stats_reset)::text, ''),
		greatest(pg_postmaster_start_time(), stats_reset),
		extract(epoch from clock_timestamp() - greatest(pg_postmaster_start_time(), stats_reset))::float8
	from pg_stat_bgwriter`

// Ask returns the start of the server, and whether it is a replica.
func Ask(ctx context.Context, conn *pgx.Conn) (s Server, recovering bool, err error) {
	var up float64
	if err := conn.QueryRow(ctx, selectServer).Scan(&recovering, &s.Begun, &s.Start, &s.At, &up); err != nil {
		return s, false, fmt.Errorf("ask for the server's start, and whether it is a replica: %w", err)
	}
	s.Up = time.Duration(up * float64(time.Second))
	return s, recovering, nil
}

// Fit is a text as the database can hold it, whatever its encoding: in another one than UTF8, ASCII is what is sure.
func Fit(conn *pgx.Conn, text string) string {
	ascii := conn.PgConn().ParameterStatus("server_encoding") != "UTF8"
	return strings.Map(func(r rune) rune {
		if r == 0 || r == utf8.RuneError || ascii && r > unicode.MaxASCII {
			return '?'
		}
		return r
	}, text)
}
