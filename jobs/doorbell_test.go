package jobs

import (
	"context"
	"errors"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A producer rings while the bell is armed, unless its transaction asks for silence: PostgreSQL refuses to prepare, for two-phase
// commit, one that has notified.
func TestRing(t *testing.T) {
	pool := setup(t)
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
		tx := begin(t, pool)
		if !pgtest.Value[bool](t, tx, `select pgsolo.arm('main', $1, 1)`, arm) {
			t.Fatal("fenced")
		}
		pgtest.Value[string](t, tx, `select set_config('pgsolo.ring', $1, true)`, ring)
		emit(t, tx, "t", `1`)
		commit(t, tx)
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

// The producers ring while the leader sleeps; while it has much to do they are told not to.
func TestDoorbellIsDisarmedUnderLoad(t *testing.T) {
	pool := setup(t)
	handler, _ := recorder("h", "t")
	handler.Handle = func(context.Context, Event) error { return nil }
	l := lead(t, pool, 1, handler)
	const rings = `select last_value > 1 and armed from pgsolo.doorbell_armed, pgsolo.doorbell`
	mode := func() RingMode { return l.runner.Stats().Log.Ring }
	armed := func() bool { return mode() == RingArmed && pgtest.Value[bool](t, pool, rings) }
	pgtest.Eventually(t, "the bell to be armed", armed)
	pgtest.Eventually(t, "the producers to ring so often that they are told not to", func() bool {
		mustExec(t, pool, `do $$ begin
			for n in 1..50 loop
				insert into pgsolo.event (topic) values ('t');
				commit;
			end loop;
		end $$`)
		return mode() == RingBusy
	})
	gate := begin(t, pool)
	mustExec(t, gate, `lock table pgsolo.doorbell in share row exclusive mode`) // nobody arms or disarms it meanwhile
	const someRing = `select last_value > 1 or armed from pgsolo.doorbell_armed, pgsolo.doorbell`
	if pgtest.Value[bool](t, gate, someRing) { // it has been idle since
		pgtest.Eventually(t, "a leader that wants to be rung again", func() bool { return mode() == RingArmed })
	}
	commit(t, gate)
	pgtest.Eventually(t, "the bell to be armed again", armed)
	l.quit()
	if mode() != RingNone {
		t.Errorf("ring mode %q after the term", mode())
	}
}

// A message that speaks of deliveries wakes consumers for those, whether or not the producers are told to ring.
func TestDoorbellTellsOfDeliveries(t *testing.T) {
	for name, wait := range map[string]func(*doorbell, context.Context, <-chan struct{}) (bool, error){
		"armed": (*doorbell).sleep, "busy": (*doorbell).pollWhileBusy,
	} {
		t.Run(name, func(t *testing.T) {
			p := setupPoll(setup(t), 2)
			messages, missed := make(chan string, 1), make(chan struct{}, 1)
			d := &doorbell{poll: p, subscription: Subscription{Messages: messages, Missed: missed}}
			stop, ended := make(chan struct{}), make(chan error, 1)
			go func() {
				var err error
				for !isClosed(stop) && err == nil { // it ends when there is nothing to do
					_, err = wait(d, t.Context(), stop)
				}
				ended <- err
			}()
			for _, tell := range []func(){func() { messages <- retryMessage }, func() { missed <- struct{}{} }} {
				tell()
				for _, c := range p.consumers {
					pgtest.Within(t, "a look at the deliveries", c.due)
				}
			}
			close(messages)
			if err := pgtest.Within(t, "the end", ended); err == nil {
				t.Error("the bell is deaf, and goes on")
			}
			close(stop)
		})
	}
}

func TestDoorbellOfAStaleLeader(t *testing.T) {
	pool := setup(t)
	mustExec(t, pool, `select pgsolo.arm('main', true, 2)`)
	stale := &doorbell{pool: pool, schema: DefaultSchema, group: "main", term: 1, logger: hclog.NewNullLogger()}
	for _, armed := range []bool{true, false} {
		if err := stale.arm(t.Context(), armed); !errors.Is(err, ErrFenced) {
			t.Errorf("arm(%t): %v, want ErrFenced", armed, err)
		}
	}
	if !pgtest.Value[bool](t, pool, `select armed and term = 2 and last_value > 1 from pgsolo.doorbell, pgsolo.doorbell_armed`) {
		t.Error("the stale leader has changed the bell")
	}
}
