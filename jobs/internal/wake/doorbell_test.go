package wake

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// A producer rings while the bell is armed, unless its transaction asks for silence: PostgreSQL refuses to prepare, for
// two-phase commit, one that has notified.
func TestRing(t *testing.T) {
	pool := jobstest.Pool(t)
	conn, err := pool.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Release()
	if _, err := conn.Exec(t.Context(), `listen "pgsolo.event"`); err != nil {
		t.Fatal(err)
	}
	insert := func(arm bool, ring string) {
		t.Helper()
		tx := jobstest.Begin(t, pool)
		if !pgtest.Value[bool](t, tx, `select pgsolo.arm('main', $1, 1)`, arm) {
			t.Fatal("fenced")
		}
		pgtest.Value[string](t, tx, `select set_config('pgsolo.ring', $1, true)`, ring)
		jobstest.Emit(t, tx, "t", `1`)
		jobstest.Commit(t, tx)
	}
	for name, test := range map[string]struct {
		armed bool
		ring  string
		rings bool
	}{
		"armed":             {true, "", true},
		"not armed":         {false, "", false},
		"armed, but silent": {true, "off", false},
	} {
		insert(test.armed, test.ring)
		if _, err := pool.Exec(t.Context(), `select pg_notify('pgsolo.event', 'last')`); err != nil {
			t.Fatal(err)
		}
		rang := false
		for {
			ctx, cancel := context.WithTimeout(t.Context(), pgtest.Patience)
			n, err := conn.Conn().WaitForNotification(ctx)
			cancel()
			if err != nil {
				t.Fatal(err)
			}
			if n.Payload == "last" {
				break
			}
			rang = true
		}
		if rang != test.rings {
			t.Errorf("%s: rang: %v, want %v", name, rang, test.rings)
		}
	}
}

// A message of changed deliveries wakes consumers for those, whether the bell is armed or not.
func TestDoorbellOfDeliveries(t *testing.T) {
	for name, wait := range map[string]func(*Doorbell, context.Context, *loop.Leadership) (bool, error){
		"armed": (*Doorbell).sleep, "busy": (*Doorbell).pollWhileBusy,
	} {
		t.Run(name, func(t *testing.T) {
			p, readers := setupPoll(jobstest.Pool(t), 2)
			messages, missed := make(chan string, 1), make(chan struct{}, 1)
			d := NewDoorbell(Bell{}, jobs.Subscription{Messages: messages, Missed: missed}, p)
			starting, stop := context.WithCancel(t.Context())
			defer stop()
			lead, ended := &loop.Leadership{Starting: starting}, make(chan error, 1)
			go func() {
				var err error
				for !lead.Stopping() && err == nil { // it ends when there is nothing to do
					_, err = wait(d, t.Context(), lead)
				}
				ended <- err
			}()
			for _, announce := range []func(){func() { messages <- RetryMessage }, func() { missed <- struct{}{} }} {
				announce()
				for _, r := range readers {
					pgtest.Within(t, "a query of the deliveries", r.asked)
				}
			}
			close(messages)
			if err := pgtest.Within(t, "the end", ended); err == nil {
				t.Error("the subscription has ended, and the doorbell goes on")
			}
			stop()
		})
	}
}

func TestDoorbellOfAStaleLeader(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `select pgsolo.arm('main', true, 2)`)
	stale := Bell{DB: pg.DB{Pool: pool, Schema: jobs.DefaultSchema}, Group: "main", Term: 1,
		Logger: hclog.NewNullLogger()}
	for _, armed := range []bool{true, false} {
		if err := stale.Arm(t.Context(), armed); !errors.Is(err, jobs.ErrFenced) {
			t.Errorf("arm(%t): %v, want ErrFenced", armed, err)
		}
	}
	if !pgtest.Value[bool](t, pool,
		`select armed and term = 2 and last_value > 1 from pgsolo.doorbell, pgsolo.doorbell_armed`) {
		t.Error("the stale leader has changed the bell")
	}
}
