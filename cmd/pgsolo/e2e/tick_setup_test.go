package e2e

import (
	"fmt"
	"net/http"
	"sync/atomic"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

const pointCrons = `
election "main" {
  lease = %[3]q
  drain = %[4]q
}
log {
  level = "debug"
}
cron "abandon" {
  enabled  = %[2]t
  schedule = "* * * * * *"
  missed   = "all"
  overlap  = "queue"
  retry {
    backoff = "5s"
    jitter  = 0
  }
  webhook { url = %[1]q }
}
cron "retry" {
  enabled      = %[2]t
  schedule     = "* * * * * *"
  missed       = "all"
  overlap      = "queue"
  on_interrupt = "retry"
  retry {
    backoff = "5s"
    jitter  = 0
  }
  webhook { url = %[1]q }
}`

// The lease, which a machine that stalls for a second or two must not cost a leader. Only the successor of a frozen one
// waits for it: every other end is seen at once.
const (
	seenLease   = "10s"
	frozenLease = "5s"
)

// pointTest has two replicas, of which the first one leads, and a job of each policy for interrupted runs.
type pointTest struct {
	*replicas
	witness *witness
	manual  bool // the jobs run only when they are triggered
	leads   *process
	hold    atomic.Pointer[gate] // if not nil, runs wait here
	fails   atomic.Bool          // runs fail
}

// waitToFinish makes the writer of an outcome 'ok' wait while another session has the advisory lock of the job.
const waitToFinish = `create function finish() returns trigger language plpgsql as
		$$ begin perform pg_advisory_xact_lock_shared(hashtext(new.job)); return new; end $$;
	create trigger finish before update on pgsolo.cron_run
		for each row when (new.outcome = 'ok') execute function finish()`

func setupPoint(t *testing.T, manual bool, lease, drain string) *pointTest {
	return setupPointAt(t, pgtest.Database(t), manual, lease, drain)
}

func setupPointAt(t *testing.T, url string, manual bool, lease, drain string) *pointTest {
	p := &pointTest{manual: manual}
	p.witness = startWitness(t, func(r *http.Request, c fleet.Call) int {
		fails := p.fails.Load()
		if g := p.hold.Load(); g != nil {
			g.pass(r, c)
		}
		if fails {
			return http.StatusServiceUnavailable
		}
		return http.StatusOK
	})
	p.replicas = startReplicas(t, url, fmt.Sprintf(pointCrons, p.witness.URL, !manual, lease, drain), 1)
	p.leads, _ = p.leader(0)
	p.has("its claim", `select count(*) = 2 from pgsolo.cron_job`)
	p.exec(waitToFinish)
	standby := p.start()
	pgtest.Eventually(t, "standby", func() bool { return standby.is("/standby") })
	return p
}

// outcome is how, in which attempt and in which term a tick ended, and the attempts that were started.
type outcome struct {
	state   string
	attempt int
	term    int64
	starts  []int
}

var (
	finished   = outcome{"ok", 1, 1, []int{1}}
	begunLater = outcome{"ok", 1, 2, []int{1}}
	lost       = outcome{"interrupted", 1, 1, []int{1}}
	repeated   = outcome{"ok", 2, 2, []int{1, 2}}
)

// together runs subtests at the same time, more of them than there are processors: most of the time they wait.
func together[T any](t *testing.T, tests map[string]T, run func(*testing.T, T)) {
	var group errgroup.Group
	group.SetLimit(5)
	for name, test := range tests {
		group.Go(func() error {
			t.Run(name, func(t *testing.T) { run(t, test) })
			return nil
		})
	}
	_ = group.Wait() // the subtests report
}

// arrives waits for a run at a gate.
func (p *pointTest) arrives(g *gate) fleet.Call {
	p.t.Helper()
	select {
	case c := <-g.waiting:
		return c
	case <-time.After(pgtest.Patience):
		p.t.Fatal("waited too long for a run")
		panic("unreachable")
	}
}

func (p *pointTest) trigger(job string) time.Time {
	p.t.Helper()
	return pgtest.Value[time.Time](p.t, p.conn, `select pgsolo.trigger_job($1)`, job)
}

// open lets those runs pass that wait, and those that begin from now on.
func (p *pointTest) open() {
	p.fails.Store(false)
	if g := p.hold.Swap(nil); g != nil {
		close(g.open)
	}
}

// goOn lets the next leader work, and checks what it has made of the ticks.
func (p *pointTest) goOn(ticks map[string]time.Time, want map[string]outcome) {
	p.t.Helper()
	p.open()
	p.leader(1)
	for job, at := range ticks {
		p.has("the end of the tick", `select exists (select from pgsolo.cron_run where job = $1 and scheduled_at = $2
			and outcome not in ('queued', 'running', 'retrying'))`, job, at)
	}
	p.checkAll(ticks, want)
}

func (p *pointTest) checkAll(ticks map[string]time.Time, want map[string]outcome) {
	p.t.Helper()
	until := time.Now()
	if !p.manual {
		until = p.settled(2)
	}
	checked := 0
	for _, job := range []string{"abandon", "retry"} {
		rows := p.rows(job, until)
		if !p.manual {
			checkSeconds(p.t, rows, until)
		}
		for _, row := range rows {
			starts := p.witness.check(row)
			if !row.At.Equal(ticks[job]) {
				continue
			}
			checked++
			if got := (outcome{row.Outcome, row.Attempt, row.Term, starts}); got.String() != want[job].String() {
				p.t.Errorf("%s: %v, want %v", job, got, want[job])
			}
		}
	}
	if checked != len(want) {
		p.t.Errorf("%d of %d ticks have a row", checked, len(want))
	}
}

func (o outcome) String() string {
	return fmt.Sprintf("%s in attempt %d, term %d, started in %v", o.state, o.attempt, o.term, o.starts)
}
