package eventlog

import (
	"context"
	"slices"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/trial"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// A leadership begins with what its first events wait for, on the session that is there: another one has to be opened,
// and to plan what it is asked. So the handlers claim their cursors one after the other, and what else there is to do
// begins once they have read.
const (
	firstTurn = 20 * time.Millisecond // to open a session
	claimTurn = 4 * time.Millisecond
	headStart = 100 * time.Millisecond
)

// WarmUp prepares a standby's session of Pool for the first statements of a leader, and runs none of them.
func (r *Runner) WarmUp(ctx context.Context, conn *pgx.Conn) error {
	return r.db.WarmUp(ctx, conn, slices.Concat(trial.First, cursor.First, logread.First))
}

// haveClaimed waits until every cursor is this term's. It returns false if the leadership stops before that.
func (r *Runner) haveClaimed(lead *loop.Leadership) bool {
	for _, h := range r.handlers {
		if !h.claimed.Await(lead.Starting) {
			return false
		}
	}
	return true
}

// awaitReads waits until every handler has read the log for the first time, but not for long.
func (r *Runner) awaitReads(lead *loop.Leadership) {
	soon, cancel := context.WithTimeout(lead.Starting, headStart)
	defer cancel()
	for _, h := range r.handlers {
		if !h.hasRead.Await(soon) {
			return
		}
	}
}
