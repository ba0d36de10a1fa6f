package listener

import (
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

const (
	tardy = 10 * time.Second // how much later than it should a busy machine may be; what never happens is later still

	// calm is a ProbeInterval that has probes in a test, and with which no session is lost on a busy machine, which
	// stalls for a second or two.
	calm = 2 * time.Second
)

// The tests wait, rather than work, so that more of them may run at once than there are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(pgtest.Main(m))
}

// bench is a database, a connection beside the listener's, and the options of a listener on that database.
type bench struct {
	t       testing.TB
	conn    *pgx.Conn
	options Options
	log     *logBuffer
}

func setup(t testing.TB) *bench {
	t.Helper()
	return setupOn(t, pgtest.Database(t))
}

// setupOn is setup on a database that the test has made.
func setupOn(t testing.TB, database string) *bench {
	t.Helper()
	config, err := pgx.ParseConfig(database)
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{t: t, log: new(logBuffer)}
	b.conn = b.connect(config)
	config = config.Copy()
	config.RuntimeParams["application_name"] = "the listener"
	b.options = Options{Config: config, Logger: b.log.logger()}
	return b
}

func (b *bench) connect(config *pgx.ConnConfig) *pgx.Conn {
	b.t.Helper()
	conn, err := pgx.ConnectConfig(context.Background(), config)
	if err != nil {
		b.t.Fatal(err)
	}
	b.t.Cleanup(func() { _ = conn.Close(context.Background()) })
	return conn
}

// wanted is a listener with a subscription: one without never gives up.
func (b *bench) wanted() *Listener {
	b.t.Helper()
	l := b.listener()
	if _, err := l.Subscribe("c"); err != nil {
		b.t.Fatal(err)
	}
	return l
}

func (b *bench) listener() *Listener {
	b.t.Helper()
	l, err := New(b.options)
	if err != nil {
		b.t.Fatal(err)
	}
	return l
}

// run runs the listener until stop is called or the test ends. The channel delivers what Run returned.
func (b *bench) run(l *Listener) (ended <-chan error, stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	result := make(chan error, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		result <- l.Run(ctx)
	}()
	b.t.Cleanup(func() {
		cancel()
		<-done
	})
	return result, cancel
}

func (b *bench) subscribe(l *Listener, channel string) *Subscription {
	b.t.Helper()
	s, err := l.Subscribe(channel)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

// established subscribes and waits until LISTEN is in force.
func (b *bench) established(l *Listener, channel string) *Subscription {
	b.t.Helper()
	s := b.subscribe(l, channel)
	pgtest.Within(b.t, "established", s.Established())
	return s
}

func (b *bench) notify(channel, payload string) {
	b.t.Helper()
	b.exec(`select pg_notify($1, $2)`, channel, payload)
}

func (b *bench) exec(sql string, arguments ...any) {
	b.t.Helper()
	if _, err := b.conn.Exec(context.Background(), sql, arguments...); err != nil {
		b.t.Fatal(err)
	}
}

// backends counts the listener's sessions as the server sees them.
func (b *bench) backends() int {
	b.t.Helper()
	const countSessions = `select count(*) from pg_stat_activity where datname = current_database()
		and application_name = 'the listener'`
	return pgtest.Value[int](b.t, b.conn, countSessions)
}

// lastStatement is what the listener's session executed last, and when.
func (b *bench) lastStatement() (statement string, at time.Time) {
	b.t.Helper()
	const readSession = `select query, query_start from pg_stat_activity where datname = current_database()
		and application_name = 'the listener'`
	if err := b.conn.QueryRow(context.Background(), readSession).Scan(&statement, &at); err != nil {
		b.t.Fatal(err)
	}
	return statement, at
}

// terminate ends the listener's session on the server's side.
func (b *bench) terminate() {
	b.t.Helper()
	b.exec(`select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()
		and application_name = 'the listener'`)
}

// receives notifies until the subscription receives that. On a busy machine the session may be replaced once more: then
// what is sent meanwhile is lost, and Missed says so.
func (b *bench) receives(s *Subscription, payload string) {
	b.t.Helper()
	deadline := time.After(pgtest.Patience)
	for {
		b.notify(s.channel, payload)
		for again := false; !again; {
			select {
			case got, open := <-s.Messages():
				if !open {
					b.t.Fatalf("channel %q: messages are closed", s.channel)
				}
				if got == payload {
					return
				}
			case <-s.Missed():
				again = true
			case <-deadline:
				b.t.Fatalf("channel %q: %q has not come", s.channel, payload)
			}
		}
	}
}

// receive returns the next message.
func receive(t testing.TB, s *Subscription) string {
	t.Helper()
	select {
	case payload, open := <-s.Messages():
		if !open {
			t.Fatalf("channel %q: messages are closed", s.channel)
		}
		return payload
	case <-time.After(pgtest.Patience):
		t.Fatalf("channel %q: no message", s.channel)
	}
	return ""
}

// logBuffer is a log that a test may read while it is written.
type logBuffer struct{ pgtest.Buffer }

func (l *logBuffer) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Debug})
}

func (l *logBuffer) count(message string) int {
	return strings.Count(l.String(), message)
}

// blockingLog blocks at the first warning until release is closed.
type blockingLog struct{ reached, release chan struct{} }

func (l *blockingLog) logger() hclog.Logger {
	return hclog.New(&hclog.LoggerOptions{Output: l, Level: hclog.Warn})
}

func (l *blockingLog) Write(line []byte) (int, error) {
	select {
	case <-l.release:
	default:
		close(l.reached)
		<-l.release
	}
	return len(line), nil
}
