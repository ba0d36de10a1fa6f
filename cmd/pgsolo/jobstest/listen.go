package jobstest

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/listener"
)

// Listen runs a LISTEN session until the test ends, and returns what subscribes on it: the Listen of an engine's
// Options.
func Listen(t testing.TB, pool *pgxpool.Pool) func(channel string) (jobs.Subscription, error) {
	t.Helper()
	session, err := listener.New(listener.Options{Config: pool.Config().ConnConfig})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = session.Run(ctx) })
	t.Cleanup(func() {
		cancel()
		running.Wait()
	})
	return func(channel string) (jobs.Subscription, error) {
		s, err := session.Subscribe(channel)
		if err != nil {
			return jobs.Subscription{}, err
		}
		return jobs.Subscription{Messages: s.Messages(), Missed: s.Missed(), Close: s.Close}, nil
	}
}

// RingOn waits for the next notification of a session and returns its payload.
func RingOn(t testing.TB, conn *pgx.Conn) string {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), pgtest.Patience)
	defer cancel()
	n, err := conn.WaitForNotification(ctx)
	if err != nil {
		t.Fatal(err)
	}
	return n.Payload
}
