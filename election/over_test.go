package election_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// setupOver starts a replica that leads until Term.Over is closed, and receives when its context ended and that was
// closed.
func setupOver(t *testing.T, url string, change ...func(*election.Options)) (*replica, <-chan [2]time.Time) {
	t.Helper()
	r := &replica{t: t, leading: make(chan election.Term, 1), cause: make(chan error, 1), ended: make(chan error, 1)}
	times := make(chan [2]time.Time, 1)
	r.start(url, func(ctx context.Context, term election.Term) error {
		r.leading <- term
		select {
		case <-ctx.Done():
		case <-term.Stopping:
			return nil
		}
		var at [2]time.Time
		at[0] = time.Now()
		<-term.Over
		at[1] = time.Now()
		r.cause <- context.Cause(ctx)
		times <- at
		return nil
	}, change...)
	return r, times
}

// The session ends: the leadership is over at once, with the context.
func TestOverWithTheSession(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	first, times := setupOver(t, url)
	pgtest.Within(t, "first leader", first.leading)
	terminateLock(t, url)
	at := pgtest.Within(t, "the end", times)
	if grace := at[1].Sub(at[0]); grace > tardy { // 0.25 of a calm lease is more
		t.Errorf("over %s after the end of the context, want at once", grace)
	}
	if err := pgtest.Within(t, "end of Run", first.ended); !errors.Is(err, election.ErrLost) {
		t.Errorf("Run returned %v, want ErrLost", err)
	}
	first.ended <- nil
}

// No ping is answered: what runs has a while to stop by itself before the leadership is over, which it is before
// another leads.
func TestOverAfterSilence(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	proxy := serve(t, url)
	const lease = 2 * brief
	lasting := func(o *election.Options) { o.Lease = lease }
	first, times := setupOver(t, proxy.url, lasting)
	pgtest.Within(t, "first leader", first.leading)
	second := setup(t, url, lasting)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })
	proxy.partition()
	select {
	case at := <-times:
		if grace := at[1].Sub(at[0]); grace < lease/5 || grace > lease/4+tardy {
			t.Errorf("over %s after the end of the context, want 0.25 of the lease %s", grace, lease)
		}
	case <-second.leading:
		t.Fatal("another leads before the leadership is over")
	}
	pgtest.Within(t, "end of Run", first.ended)
	first.ended <- nil
}

// A leader that makes no progress sends no ping, and loses the leadership by that. Then its session ends: it is over.
func TestOverWhereTheSessionEndsAfterSilence(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	const lease = 8 * tardy
	var stuck atomic.Bool
	first, times := setupOver(t, url, func(o *election.Options) {
		o.Lease = lease
		o.Healthy = func() error {
			if stuck.Load() {
				return errors.New("stuck")
			}
			return nil
		}
	})
	term := pgtest.Within(t, "first leader", first.leading)
	stuck.Store(true)
	pgtest.Eventually(t, "loss", func() bool { return !term.Held() })
	terminateLock(t, url)
	at := pgtest.Within(t, "the end", times)
	if grace := at[1].Sub(at[0]); grace > tardy {
		t.Errorf("over %s after the end of the context, want with the session", grace)
	}
	pgtest.Within(t, "end of Run", first.ended)
	first.ended <- nil
}
