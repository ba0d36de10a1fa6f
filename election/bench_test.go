package election_test

import (
	"context"
	"errors"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

// BenchmarkTakeover closes the socket of a leader, as the kernel does when its process is killed, and takes the time
// until the next one leads. The floor is the same with sessions in pg_advisory_lock. Both are medians, taken in turn.
func BenchmarkTakeover(b *testing.B) {
	compare(b, "takeover-ms", (*contender).cut)
}

// BenchmarkHandover stops an idle leader instead. The floor is pg_advisory_unlock.
func BenchmarkHandover(b *testing.B) {
	compare(b, "handover-ms", (*contender).stop)
}

// compare ends the leader of two elections in turn, of which one is the floor.
func compare(b *testing.B, metric string, end func(*contender)) {
	url := pgtest.Database(b)
	floor := newField(b, url, (*contender).queue, floorClass)
	ours := newField(b, url, (*contender).elect, "pgsolo.leader")
	var floors, samples []time.Duration
	for b.Loop() {
		floors = append(floors, floor.replace(end))
		samples = append(samples, ours.replace(end))
	}
	median := func(of []time.Duration) float64 {
		slices.Sort(of)
		return float64(of[len(of)/2].Microseconds()) / 1000
	}
	b.ReportMetric(median(samples), metric)
	b.ReportMetric(median(floors), "floor-ms")
	b.ReportMetric(median(samples)/median(floors), "ratio")
	b.ReportMetric(0, "ns/op") // most of it is spent on joining
}

// floorClass is the table whose oid is the first half of the floor's lock.
const floorClass = "pgsolo.leader_term"

// field is a leader and a standby, which compete in the same way.
type field struct {
	b       *testing.B
	url     string
	watch   *pgx.Conn
	compete func(*contender, context.Context, *pgx.ConnConfig) error
	class   string // table of the lock
	leader  *contender
	leads   chan lead // never closed
	running sync.WaitGroup
}

// lead says that a contender leads.
type lead struct {
	contender *contender
	at        time.Time
}

func newField(b *testing.B, url string, compete func(*contender, context.Context, *pgx.ConnConfig) error,
	class string) *field {
	b.Helper()
	watch, err := pgx.Connect(b.Context(), url)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { watch.Close(context.Background()) })
	f := &field{b: b, url: url, watch: watch, compete: compete, class: class, leads: make(chan lead, 2)}
	b.Cleanup(f.running.Wait) // the contenders' own clean-ups, which come later and run before, have ended them
	f.join()
	f.leader = f.next().contender
	f.join()
	f.settle()
	return f
}

// contender is one of a field, with a session and a goroutine of its own.
type contender struct {
	field  *field
	cancel context.CancelFunc
	socket atomic.Pointer[net.Conn]
}

// join starts a contender.
func (f *field) join() {
	f.b.Helper()
	config, err := pgx.ParseConfig(f.url)
	if err != nil {
		f.b.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	c := &contender{field: f, cancel: cancel}
	dial := config.DialFunc
	config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		socket, err := dial(ctx, network, address)
		if err == nil {
			c.socket.Store(&socket)
		}
		return socket, err
	}
	f.running.Go(func() {
		if err := f.compete(c, ctx, config); err != nil {
			f.b.Error(err)
		}
	})
	f.b.Cleanup(cancel)
}

// replace ends the leader, and returns how long it took until the other one led. Then another one has joined and waits.
func (f *field) replace(end func(*contender)) time.Duration {
	f.b.Helper()
	began := time.Now()
	end(f.leader)
	next := f.next()
	f.leader.cancel()
	f.leader = next.contender
	f.join()
	f.settle()
	return next.at.Sub(began)
}

func (f *field) next() lead {
	f.b.Helper()
	select {
	case l := <-f.leads:
		return l
	case <-time.After(20 * time.Second):
		f.b.Fatal("waited too long for a leader")
		panic("unreachable")
	}
}

// settle waits until one contender is in the lock's queue.
func (f *field) settle() {
	f.b.Helper()
	const waits = `select exists (select from pg_locks where locktype = 'advisory' and not granted
		and classid = $1::text::regclass)`
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	for waiting := false; !waiting; <-ticker.C {
		if err := f.watch.QueryRow(f.b.Context(), waits, f.class).Scan(&waiting); err != nil {
			f.b.Fatal(err)
		}
	}
}

func (c *contender) cut() { (*c.socket.Load()).Close() }

func (c *contender) stop() { c.cancel() }

func (c *contender) elect(ctx context.Context, config *pgx.ConnConfig) error {
	elector, err := election.New(election.Options{Config: config})
	if err != nil {
		return err
	}
	err = elector.Run(ctx, func(ctx context.Context, term election.Term) error {
		c.field.leads <- lead{c, time.Now()}
		select {
		case <-ctx.Done():
		case <-term.Stopping:
		}
		return nil
	})
	if errors.Is(err, election.ErrLost) { // cut off
		return nil
	}
	return err
}

func (c *contender) queue(ctx context.Context, config *pgx.ConnConfig) error {
	conn, err := pgx.ConnectConfig(ctx, config)
	if err != nil {
		return err
	}
	defer conn.Close(context.Background())
	if _, err := conn.Exec(ctx, `select pg_advisory_lock('`+floorClass+`'::regclass::oid::int, 1)`); err != nil {
		if ctx.Err() != nil { // the benchmark is over
			return nil
		}
		return err
	}
	c.field.leads <- lead{c, time.Now()}
	<-ctx.Done()
	// it may be cut off
	_, _ = conn.Exec(context.Background(), `select pg_advisory_unlock('`+floorClass+`'::regclass::oid::int, 1)`)
	return nil
}
