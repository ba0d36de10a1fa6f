package e2e

import (
	"context"
	"fmt"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// Three replicas, and the leader is killed again and again while events are inserted and a job runs every second:
// another one leads, no event is lost, no leader works after its successor has begun, and each second has one tick.
// PGSOLO_TEST_KILLS sets the number of kills.
func TestKilledLeaders(t *testing.T) {
	kills := 4
	if n, err := strconv.Atoi(os.Getenv("PGSOLO_TEST_KILLS")); err == nil {
		kills = n
	}
	url := pgtest.Database(t)
	seen := startWitness(t, nil)
	path := configure(t, url, fmt.Sprintf(`
topic "t" {}
handler "h" {
  topic       = "t"
  concurrency = 4
  webhook { url = %[1]q }
}
cron "c" {
  schedule = "* * * * * *"
  missed   = "all"
  webhook { url = %[1]q }
}`, seen.URL))

	replicas := make([]*process, 3)
	for i := range replicas {
		replicas[i] = start(t, nil, "run", "-c", path)
	}
	conn := pgtest.Connect(t, url)
	leader := func(after int64) (*process, int64, time.Time) {
		var (
			pid, term int64
			since     time.Time
		)
		pgtest.Eventually(t, "a leader", func() bool {
			err := conn.QueryRow(t.Context(), `select split_part(holder, '/', -1)::bigint, term, since
				from pgsolo.leader where term > $1`, after).Scan(&pid, &term, &since)
			return err == nil
		})
		for _, p := range replicas {
			if int64(p.PID()) == pid {
				return p, term, since
			}
		}
		t.Fatalf("process %d leads, and is none of ours", pid)
		return nil, 0, time.Time{}
	}
	current, term, _ := leader(0)

	stop := make(chan struct{})
	var producing sync.WaitGroup
	var inserted atomic.Int64
	producing.Go(func() { produce(t, url, stop, &inserted) })
	var takeovers []time.Duration
	for range kills {
		arrived, ticked := inserted.Load(), seen.attempts()
		pgtest.Eventually(t, "work", func() bool { return inserted.Load() >= arrived+100 && seen.attempts() > ticked })
		seen.Killing(term)
		killed := time.Now()
		current.kill()
		<-current.ended
		for i, p := range replicas {
			if p == current {
				replicas[i] = start(t, nil, "run", "-c", path)
			}
		}
		var since time.Time
		current, term, since = leader(term)
		takeovers = append(takeovers, since.Sub(killed))
		for _, p := range replicas {
			pgtest.Eventually(t, "readiness", func() bool { return p.is("/readyz") })
		}
	}
	close(stop)
	producing.Wait()
	t.Logf("%d events; from the kill to the next leader: %v", inserted.Load(), takeovers)

	pgtest.Eventually(t, "every event", func() bool { return int64(seen.events()) >= inserted.Load() })
	var seconds, ticks int
	if err := conn.QueryRow(t.Context(), `select
			extract(epoch from max(scheduled_at) - min(scheduled_at))::int + 1, count(*) from pgsolo.cron_run`).
		Scan(&seconds, &ticks); err != nil {
		t.Fatal(err)
	}
	if ticks != seconds {
		t.Errorf("%d ticks in %d seconds", ticks, seconds)
	}
	var starts map[time.Time]int
	seen.Read(func(seen fleet.Tally) { starts = seen.Starts() })
	for at, n := range starts {
		if n > 1 {
			t.Errorf("the tick of %s was started %d times", at, n)
		}
	}
}

// produce inserts events, one in ten of them in a transaction that rolls back, until stop is closed.
func produce(t *testing.T, url string, stop <-chan struct{}, inserted *atomic.Int64) {
	ctx := context.Background()
	conn, err := pgx.Connect(ctx, url)
	if err != nil {
		t.Error(err)
		return
	}
	defer conn.Close(ctx)
	for n := 0; ; n++ {
		select {
		case <-stop:
			return
		default:
		}
		tx, err := conn.Begin(ctx)
		if err == nil {
			_, err = tx.Exec(ctx, `insert into pgsolo.event (topic) values ('t')`)
		}
		if err == nil && n%10 == 0 {
			err = tx.Rollback(ctx)
		} else if err == nil {
			if err = tx.Commit(ctx); err == nil {
				inserted.Add(1)
			}
		}
		if err != nil {
			t.Error(err)
			return
		}
	}
}
