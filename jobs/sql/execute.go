package sql

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/jackc/pgx/v5/pgconn"
)

const (
	// How long the server may take to end a cancelled statement. Then the session is given up.
	cancelTime = 2 * time.Second

	// How often it is asked to: a request that comes before the statement has begun there has no effect.
	cancelInterval = 100 * time.Millisecond
)

// execute runs the statement and drops its rows. The values go as text of no particular type, so that the server finds
// the types as it does for literals. pgx would end the wait at the end of ctx and leave the statement behind; this
// waits for both.
func (s Statement) execute(ctx context.Context, session *pgconn.PgConn, values [][]byte) (pgconn.CommandTag, error) {
	if ctx.Err() != nil {
		return pgconn.CommandTag{}, fmt.Errorf("run statement: %w", context.Cause(ctx))
	}
	waiting, giveUp := context.WithCancel(context.WithoutCancel(ctx))
	defer giveUp()
	ended, asked := make(chan struct{}), make(chan error, 1)
	untouched := context.AfterFunc(ctx, func() { asked <- cancel(session, ended, giveUp) })

	rows := session.ExecParams(waiting, s.SQL, values, nil, nil, nil)
	for rows.NextRow() {
	}
	tag, err := rows.Close()
	close(ended)
	if !untouched() && <-asked != nil {
		closeNow(session) // or a late request could cancel the next statement
	}
	return tag, s.explain(ctx, waiting, err)
}

// cancel asks the server to end the statement until it has, and gives the session up when that takes too long. When it
// returns nil, no request is under way any more.
func cancel(session *pgconn.PgConn, ended <-chan struct{}, giveUp func()) error {
	ctx, done := context.WithTimeout(context.Background(), cancelTime)
	defer done()
	repeat := time.NewTicker(cancelInterval)
	defer repeat.Stop()
	for {
		err := session.CancelRequest(ctx)
		select {
		case <-ended:
			return err
		case <-ctx.Done():
			// At once, or the server would learn only at the end of the statement that the client is gone.
			_ = session.Conn().Close()
			giveUp()
			return context.Cause(ctx)
		case <-repeat.C:
		}
	}
}

func closeNow(session *pgconn.PgConn) {
	ctx, done := context.WithTimeout(context.Background(), cancelTime)
	defer done()
	_ = session.Close(ctx)
}

// explain adds the place and the remedy to an error of the server. What may hold a row's values, its detail, is left
// out.
func (s Statement) explain(ctx, waiting context.Context, err error) error {
	refused, ok := errors.AsType[*pgconn.PgError](err)
	switch {
	case err == nil:
		return nil
	case waiting.Err() != nil:
		return fmt.Errorf("run statement: %w: it may still run: the server has not ended it within %s",
			context.Cause(ctx), cancelTime)
	case ctx.Err() != nil && ok && refused.Code == queryCanceled:
		return fmt.Errorf("run statement: cancelled: %w", context.Cause(ctx))
	case ctx.Err() != nil && !ok: // the connection is lost, too
		return fmt.Errorf("run statement: %w: %w", context.Cause(ctx), err)
	case !ok:
		return fmt.Errorf("run statement: %w", err)
	}
	return fmt.Errorf("run statement%s: %w%s", s.place(refused.Position), err, remedy(refused))
}

// place is where in the statement the server found the mistake, counted in characters from 1, or nothing for 0.
func (s Statement) place(position int32) string {
	if position < 1 || int(position) > utf8.RuneCountInString(s.SQL)+1 {
		return ""
	}
	before := string([]rune(s.SQL)[:position-1])
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf(", line %d, column %d", line, column)
}

// Codes of PostgreSQL's appendix A.
const (
	queryCanceled         = "57014"
	indeterminateDatatype = "42P18"
	ambiguousParameter    = "42P08"
	activeTransaction     = "25001"
	terminationRefused    = "2D000"
)

func remedy(refused *pgconn.PgError) string {
	if refused.Code == indeterminateDatatype || refused.Code == ambiguousParameter {
		return ": give the parameter a type, as in $1::bigint"
	}
	return ""
}
