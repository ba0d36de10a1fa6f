package listener

import (
	"context"
	"sync"
	"testing"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// The session is ended by the server fifty times while events are written. One that re-reads the table upon Missed, and
// upon each message, overlooks none, without ever polling, and Unhealthy is not called.
func TestFiftyTerminationsUnderLoad(t *testing.T) {
	t.Parallel()
	const kills = 50
	b := setup(t)
	gate := newGate(b)
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	l := b.listener()
	b.run(l)
	log := newEventLog(b, l)
	write := log.write(b)
	for n := range kills {
		before := l.Stats().Reconnects
		b.terminate()
		pgtest.Eventually(t, "a reconnect", func() bool { return l.Stats().Reconnects > before })
		if n%10 == 0 {
			pgtest.Eventually(t, "another event", log.moves())
		}
	}
	last := write()
	log.awaitLast(last)

	// The last event falls into an outage, so that no message leads to it.
	gate.shut()
	b.terminate()
	pgtest.Eventually(t, "an attempt", func() bool { return gate.refused.Load() > 0 })
	b.exec(`insert into event default values`)
	b.notify("event", "")
	gate.open()
	log.awaitLast(pgtest.Value[int64](t, b.conn, `select max(id) from event`))
	if n := l.Stats().Reconnects; n < kills {
		t.Errorf("%d reconnects", n)
	}
	t.Logf("%d events over %d sessions", last, l.Stats().Reconnects+1)
	pgtest.Eventually(t, "one session", func() bool { return b.backends() == 1 })
}

// The server is restarted, in order and as in a crash. The listener stays up, and nothing that is durable is
// overlooked.
func TestServerRestart(t *testing.T) {
	t.Parallel()
	server := pgtest.Server(t, privatepg.Options{})
	b := setupOn(t, server.URL("postgres"))
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	l := b.listener()
	b.run(l)
	log := newEventLog(b, l)
	reader := b.established(l, "plain")
	for n, mode := range []privatepg.Mode{privatepg.Fast, privatepg.Immediate} {
		write := log.write(b)
		pgtest.Eventually(t, "another event", log.moves())
		last := write()
		if err := server.Halt(t.Context(), mode); err != nil {
			t.Fatal(err)
		}
		late := b.subscribe(l, "late")
		if err := server.Resume(t.Context()); err != nil {
			t.Fatal(err)
		}
		b.conn = b.connect(b.conn.Config())
		pgtest.Within(t, "missed", reader.Missed())
		pgtest.Within(t, "established", late.Established())
		late.Close()
		b.notify("plain", "x")
		receive(t, reader)
		if got := log.awaitLast(last); got < last {
			t.Errorf("%s: %d events are left of %d", mode, got, last)
		}
		if stats := l.Stats(); stats.Reconnects != uint64(n+1) {
			t.Errorf("%s: stats are %+v", mode, stats)
		}
		if lost := b.log.count("session lost"); lost != n+1 {
			t.Errorf("%d lines of a lost session", lost)
		}
	}
}

// eventLog is a table that a writer adds to, with a NOTIFY in each transaction, and that a reader reads when it is
// asked to.
type eventLog struct {
	t    testing.TB
	conn *pgx.Conn // of the goroutine that reads

	mu   sync.Mutex // guards read
	read int64      // the last event that the reader has seen; it has seen all before
}

func newEventLog(b *bench, l *Listener) *eventLog {
	b.t.Helper()
	b.exec(`create table event (id bigint generated always as identity primary key)`)
	e := &eventLog{t: b.t, conn: b.connect(b.conn.Config())}
	s := b.established(l, "event")
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case _, open := <-s.Messages():
				if !open {
					return
				}
			case <-s.Missed():
			}
			e.readOn()
		}
	}()
	b.t.Cleanup(func() {
		s.Close()
		<-done
		_ = e.conn.Close(context.Background())
	})
	return e
}

// readOn reads what is new, if need be on a new connection. While none is to be had it leaves the rest to the next
// signal: Missed comes when the server is back. There is one writer, so that the ids become visible in their order.
func (e *eventLog) readOn() {
	for range 2 {
		var last int64
		err := e.conn.QueryRow(context.Background(), `select coalesce(max(id), 0) from event where id > $1`,
			e.last()).Scan(&last)
		if err == nil {
			e.mu.Lock()
			e.read = max(e.read, last)
			e.mu.Unlock()
			return
		}
		again, err := pgx.ConnectConfig(context.Background(), e.conn.Config())
		if err != nil {
			return
		}
		_ = e.conn.Close(context.Background())
		e.conn = again
	}
}

func (e *eventLog) last() int64 {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.read
}

// moves returns a condition: the reader has read on since.
func (e *eventLog) moves() func() bool {
	before := e.last()
	return func() bool { return e.last() > before }
}

// write writes until the function that it returns is called, which returns the last event.
func (e *eventLog) write(b *bench) (stop func() int64) {
	b.t.Helper()
	conn := b.connect(b.conn.Config())
	var last int64
	ctx, cancel := context.WithCancel(context.Background())
	var writing sync.WaitGroup
	writing.Go(func() {
		for ctx.Err() == nil {
			if err := conn.QueryRow(context.Background(), `with new as (insert into event default values returning id)
				select id from new, pg_notify('event', '')`).Scan(&last); err != nil {
				b.t.Error(err)
				return
			}
		}
	})
	b.t.Cleanup(func() {
		cancel()
		writing.Wait()
	})
	return func() int64 {
		cancel()
		writing.Wait()
		return last
	}
}

// awaitLast waits until the reader has seen the event, by nothing but the signals of its subscription.
func (e *eventLog) awaitLast(id int64) int64 {
	e.t.Helper()
	pgtest.Eventually(e.t, "the reader has seen the last event", func() bool { return e.last() >= id })
	return e.last()
}
