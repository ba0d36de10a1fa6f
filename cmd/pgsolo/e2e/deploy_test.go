package e2e

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// deployed are configurations, from any of which to any other one a deploy may roll. has are the handlers of the topic
// orders that call a webhook, and moved are those that have another topic here; each configuration has the sql handler
// x of orders and the job j, too.
var deployed = []struct {
	name, text string
	has, moved string
}{
	{"small", `
topic "orders" { retention = "1s" }
election "main" { lease = "10s" }
` + deployedA + deployedX + deployedJ, "a", ""},
	{"more", `
topic "orders" { retention = "1s" }
topic "fresh" {}
election "main" { lease = "10s" }
handler "b" {
  topic = "orders"
  webhook { url = %[1]q }
}
handler "f" {
  topic = "fresh"
  webhook { url = %[1]q }
}
cron "k" {
  schedule = "* * * * * *"
  webhook { url = %[1]q }
}
` + deployedA + deployedX + deployedJ, "ab", ""},
	{"another retention and order", `
topic "orders" { retention = "1h" }
topic "*" { retention = "2s" }
election "main" { lease = "10s" }
` + deployedJ + deployedX + deployedA, "a", ""},
	{"two elections", `
topic "orders" { retention = "1s" }
election "side" { lease = "10s" }
election "main" { lease = "10s" }
handler "b" {
  topic = "orders"
  order = "key"
  webhook { url = %[1]q }
}
` + deployedA + deployedJ + deployedX, "ab", ""},
	{"another topic", `
topic "orders" {}
topic "fresh" { retention = "1s" }
election "main" { lease = "10s" }
handler "b" {
  topic = "fresh"
  webhook { url = %[1]q }
}
` + deployedX + deployedJ, "", "b"},
}

const (
	deployedA = `
handler "a" {
  topic       = "orders"
  concurrency = 4
  webhook { url = %[1]q }
}
`
	deployedX = `
handler "x" {
  topic       = "orders"
  concurrency = 2
  sql {
    statement = "insert into effect values ($1)"
    args      = [event.id]
  }
}
`
	deployedJ = `
cron "j" {
  schedule = "* * * * * *"
  missed   = "all"
  overlap  = "queue"
  history {
    runs        = 10000
    failed_runs = 10000
  }
  webhook { url = %[1]q }
}
`
)

// Three replicas go from one configuration to another one and back, under load, with kills in between: every handler
// that is in both gets every event, an sql handler once, a job that is in both has each tick once, and each replica
// becomes ready and goes on. PGSOLO_TEST_DEPLOYS sets how many of the pairs are deployed, and PGSOLO_TEST_SEED what is
// killed when.
//
// PGSOLO_TEST_BEFORE names a program of the version before, which makes the tables and has the first configuration of
// each pair. The tables are migrated under its load.
func TestRollingDeploys(t *testing.T) {
	t.Parallel()
	pairs := [][2]int{{0, 1}, {3, 2}, {1, 4}, {2, 3}, {0, 3}, {4, 0}}
	for from := range deployed {
		for to := range deployed {
			if from != to {
				pairs = append(pairs, [2]int{from, to})
			}
		}
	}
	n := 1
	if given, err := strconv.Atoi(os.Getenv("PGSOLO_TEST_DEPLOYS")); err == nil {
		n = min(given, len(pairs))
	}
	seed, _ := strconv.ParseUint(os.Getenv("PGSOLO_TEST_SEED"), 10, 64)
	for i, pair := range pairs[:n] {
		from, to := deployed[pair[0]], deployed[pair[1]]
		t.Run(fmt.Sprintf("%d from %s to %s", i, from.name, to.name), func(t *testing.T) {
			d := setupDeploy(t, from.text, to.text)
			d.steady = max(strings.Count(from.text, "\nelection"), strings.Count(to.text, "\nelection")) == 1
			d.random = rand.New(rand.NewPCG(seed, uint64(i)))
			d.roll(1)
			d.roll(0)
			d.finish()
			for _, handler := range from.has {
				for _, other := range to.has + to.moved {
					if handler == other {
						d.gotAll(string(handler))
					}
				}
			}
		})
	}
}

// deployTest is three replicas, of which each has the first or the second configuration.
type deployTest struct {
	t        *testing.T
	conn     *pgx.Conn
	paths    [2]string
	replicas [3]*process
	has      [3]int // which configuration
	random   *rand.Rand
	steady   bool // no job moves to another election, which takes its time: each step waits for a tick

	stop      chan struct{}
	producing sync.WaitGroup
	emitted   atomic.Int64

	mu     sync.Mutex // guards all below
	events map[string]map[string]bool
	ticks  map[string]int // starts of j, by scheduled time and attempt
}

func setupDeploy(t *testing.T, from, to string) *deployTest {
	url := pgtest.Database(t)
	d := &deployTest{t: t, conn: pgtest.Connect(t, url), stop: make(chan struct{}),
		events: map[string]map[string]bool{}, ticks: map[string]int{}}
	target := httptest.NewServer(http.HandlerFunc(d.called))
	t.Cleanup(target.Close)
	for i, text := range []string{from, to} {
		d.paths[i] = configure(t, url, fmt.Sprintf(text+"# %[1]s", target.URL))
	}
	if _, err := d.conn.Exec(t.Context(), `create table effect (event_id bigint)`); err != nil {
		t.Fatal(err)
	}
	program := os.Getenv("PGSOLO_TEST_BEFORE")
	if program != "" {
		execute(t, d.conn, `drop schema pgsolo cascade`)
		d.migrate(program)
	}
	for i := range d.replicas {
		d.start(i, 0)
	}
	d.work()
	d.producing.Go(func() { d.produce(url) })
	t.Cleanup(func() {
		select {
		case <-d.stop:
		default:
			close(d.stop)
		}
		d.producing.Wait()
	})
	if program != "" {
		d.migrate("")
		d.work()
	}
	return d
}

func (d *deployTest) migrate(program string) {
	d.t.Helper()
	p := startCommand(d.t, fleet.Command{Program: program, Args: []string{"migrate", "-c", d.paths[0]}})
	if code := p.exit(); code != 0 {
		d.t.Fatalf("migrate: code %d\n%s", code, p.log)
	}
}

func (d *deployTest) called(_ http.ResponseWriter, r *http.Request) {
	d.mu.Lock()
	defer d.mu.Unlock()
	name := r.Header.Get("Pgsolo-Name")
	if id := r.Header.Get("Pgsolo-Event-Id"); id != "" {
		if d.events[name] == nil {
			d.events[name] = map[string]bool{}
		}
		d.events[name][id] = true
	} else if name == "j" {
		d.ticks[r.Header.Get("Pgsolo-Scheduled-At")+" attempt "+r.Header.Get("Pgsolo-Attempt")]++
	}
}

// start starts a replica, and waits until it is ready.
func (d *deployTest) start(i, configuration int) {
	d.t.Helper()
	var program string // this one
	if configuration == 0 {
		program = os.Getenv("PGSOLO_TEST_BEFORE")
	}
	p := startCommand(d.t, fleet.Command{
		Program: program, Args: []string{"run", "-c", d.paths[configuration]},
		Env: []string{"GORACE=atexit_sleep_ms=0"},
	})
	d.replicas[i], d.has[i] = p, configuration
	pgtest.Eventually(d.t, "a replica to be ready", func() bool { return p.HasEnded() || p.is("/readyz") })
	d.alive()
}

// alive fails the test if a replica has ended by itself.
func (d *deployTest) alive() {
	d.t.Helper()
	for i, p := range d.replicas {
		if p != nil && p.HasEnded() {
			d.t.Fatalf("replica %d has ended:\n%s", i, p.log)
		}
	}
}

// work waits until events that come from now on are handled.
func (d *deployTest) work() {
	d.t.Helper()
	var id int64
	if err := d.conn.QueryRow(d.t.Context(), `insert into pgsolo.event (topic) values ('orders') returning id`).
		Scan(&id); err != nil {
		d.t.Fatal(err)
	}
	d.emitted.Add(1)
	now := pgtest.Value[time.Time](d.t, d.conn, `select clock_timestamp()`)
	pgtest.Eventually(d.t, "an event to be handled", func() bool {
		return pgtest.Value[bool](d.t, d.conn, `select exists (select from effect where event_id = $1)`, id)
	})
	if d.steady {
		pgtest.Eventually(d.t, "a tick", func() bool {
			return pgtest.Value[bool](d.t, d.conn, `select exists (select from pgsolo.cron_run
				where job = 'j' and scheduled_at > $1 and outcome = 'ok')`, now)
		})
	}
	d.alive()
}

// roll replaces one replica after the other. Some are killed, and in the middle the leader of each election is, and
// comes back as it was.
func (d *deployTest) roll(configuration int) {
	d.t.Helper()
	killed, leadersAfter := d.random.IntN(3), d.random.IntN(2)
	for i := range d.replicas {
		p := d.replicas[i]
		d.replicas[i] = nil
		if i == killed || d.random.IntN(3) == 0 {
			p.kill()
			<-p.ended
		} else {
			p.signal(syscall.SIGTERM)
			if code := p.exit(); code != 0 {
				d.t.Errorf("replica %d was told to stop, and ended with code %d:\n%s", i, code, p.log)
			}
		}
		d.start(i, configuration)
		d.work()
		if i == leadersAfter {
			d.killLeaders()
			d.work()
		}
	}
}

func (d *deployTest) killLeaders() {
	d.t.Helper()
	leaders := pgtest.Value[[]int64](d.t, d.conn,
		`select array_agg(distinct split_part(holder, '/', -1)::bigint) from pgsolo.leader where not clean`)
	for i, p := range d.replicas {
		for _, pid := range leaders {
			if int64(p.PID()) == pid {
				d.replicas[i] = nil
				p.kill()
				<-p.ended
				d.start(i, d.has[i])
			}
		}
	}
}

// produce emits until stop is closed.
func (d *deployTest) produce(url string) {
	conn, err := pgx.Connect(context.Background(), url)
	if err != nil {
		d.t.Error(err)
		return
	}
	defer conn.Close(context.Background())
	for {
		select {
		case <-d.stop:
			return
		case <-time.After(2 * time.Millisecond):
		}
		if _, err := conn.Exec(context.Background(), `select pgsolo.emit('orders')`); err != nil {
			d.t.Error(err)
			return
		}
		d.emitted.Add(1)
	}
}

// finish ends the load, and checks what is in every configuration.
func (d *deployTest) finish() {
	d.t.Helper()
	close(d.stop)
	d.producing.Wait()
	emitted := d.emitted.Load()
	pgtest.Eventually(d.t, "every event at the sql handler", func() bool {
		return pgtest.Value[int64](d.t, d.conn, `select count(distinct event_id) from effect`) >= emitted
	})
	if n := pgtest.Value[int64](d.t, d.conn, `select count(*) from effect`); n != emitted {
		d.t.Errorf("%d effects of %d events", n, emitted)
	}
	now := pgtest.Value[time.Time](d.t, d.conn, `select date_trunc('second', clock_timestamp())`)
	pgtest.Eventually(d.t, "the ticks up to now", func() bool {
		return pgtest.Value[bool](d.t, d.conn, `select coalesce(max(scheduled_at) >= $1, false) from pgsolo.cron_run
			where job = 'j' and outcome not in ('queued', 'running', 'retrying')`, now)
	})
	var seconds, ticks int
	if err := d.conn.QueryRow(d.t.Context(), `select
			extract(epoch from max(scheduled_at) - min(scheduled_at))::int + 1, count(*)
			from pgsolo.cron_run where job = 'j'`).Scan(&seconds, &ticks); err != nil {
		d.t.Fatal(err)
	}
	if ticks != seconds {
		d.t.Errorf("%d ticks in %d seconds", ticks, seconds)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	for tick, n := range d.ticks {
		if n > 1 {
			d.t.Errorf("the tick of %s was started %d times", tick, n)
		}
	}
	d.t.Logf("%d events, %d ticks", emitted, ticks)
}

// gotAll waits until a handler that calls a webhook has got every event.
func (d *deployTest) gotAll(handler string) {
	d.t.Helper()
	pgtest.Eventually(d.t, "every event at handler "+handler, func() bool {
		d.mu.Lock()
		defer d.mu.Unlock()
		return int64(len(d.events[handler])) >= d.emitted.Load()
	})
}
