// This file stands in election and in listener alike, which must not import each other: a test of cmd/pgsolo compares
// them.

package direct

import (
	"context"
	"fmt"
	"time"
)

const (
	// sharingTimeout is when the server ends the session, and sharingWait how much longer that may take on a busy
	// machine.
	sharingTimeout = 50 * time.Millisecond
	sharingWait    = time.Second

	idleSessionTimeout = "57P05"
)

// sharesSessions says whether a pooler shares the server's sessions among its clients: then the connection survives the
// end of the session that has just answered. Other clients, a used-up pool and the pooler's choice among its sessions
// make no difference to that. ended waits for the end of the connection, and says whether that of the session was the
// reason. The connection is used up.
func sharesSessions(
	ctx context.Context, exec func(ctx context.Context, sql string) error,
	ended func(ctx context.Context, within time.Duration) (bool, error),
) (bool, error) {
	if err := exec(ctx, fmt.Sprintf("set idle_session_timeout = %d", sharingTimeout.Milliseconds())); err != nil {
		return false, err
	}
	if ended, err := ended(ctx, sharingTimeout+sharingWait); ended || err != nil {
		return false, err
	}
	if err := exec(ctx, `select 1`); err != nil {
		return false, err // this process, rather than the server, may have been late
	}
	return true, nil
}
