//go:build unix

package exec

import (
	"context"
	"errors"
	"path/filepath"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// When the leadership is over the group is killed, whatever grace it has: one that has not begun, one of a timeout that
// runs already, and one of a drain.
func TestGroupIsKilledWhenTheLeadershipIsOver(t *testing.T) {
	lost, late := errors.New("leadership lost"), errors.New("not done within its timeout")
	for name, test := range map[string]struct {
		before error // ends the context while the leadership lasts, so that the grace runs when it ends
		want   error
	}{
		"running":         {want: lost},
		"grace of a stop": {before: late, want: late},
	} {
		t.Run(name, func(t *testing.T) {
			ready := newFIFO(t)
			command := sh(`trap 'echo asked >&9' TERM; ` + sleepers + `while :; do sleep 1000 & wait; done`)
			command.Env = map[string]string{"FIFO": ready.path}
			command.Grace = time.Hour
			over := make(chan struct{})
			ctx, cancel := context.WithCancelCause(jobs.WithLead(t.Context(), jobs.Lead{Over: over}))
			result := make(chan error, 1)
			go func() { result <- command.Run(ctx, jobs.Invocation{}) }()
			ready.waitReady(t)
			if test.before != nil {
				cancel(test.before)
				ready.waitReady(t) // SIGTERM has come
			}
			close(over) // election does so right before it ends the context
			cancel(lost)
			if err := pgtest.Within(t, "the end of the command", result); !errors.Is(err, test.want) {
				t.Errorf("Run = %v, want %v", err, test.want)
			}
			ready.waitGone(t)
		})
	}
}

// A process was frozen after it had been asked whether the leadership is held, and goes on when another leads.
func TestNothingStartsWhenTheLeadershipIsNotHeld(t *testing.T) {
	mark := filepath.Join(t.TempDir(), "mark")
	lost := errors.New("leadership lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	ctx = jobs.WithLead(ctx, jobs.Lead{Held: func() bool {
		cancel(lost) // as the leader does when it wakes
		return false
	}})
	if err := sh("touch "+mark).Run(ctx, jobs.Invocation{}); !errors.Is(err, lost) {
		t.Errorf("Run = %v, want the cause of the context's end", err)
	}
	if found, _ := filepath.Glob(mark); found != nil {
		t.Error("the command ran")
	}
}
