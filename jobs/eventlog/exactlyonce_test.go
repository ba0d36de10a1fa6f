package eventlog

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// unreliable leaves an effect, and then fails in all ways that there are, at random.
func unreliable(ctx context.Context, tx pgx.Tx, e Event) error {
	if err := leaveEffect(ctx, tx, e); err != nil {
		return err
	}
	switch rand.IntN(200) {
	case 0:
		panic("at random")
	case 1:
		_, err := tx.Exec(ctx, `select pg_sleep(60)`) // until its time is up
		return err
	case 2:
		_, err := tx.Exec(ctx, `select 1/0`)
		return err
	case 3:
		_, _ = tx.Exec(ctx, `select 1/0`)
		return nil
	case 4, 5, 6, 7, 8, 9, 10:
		return errors.New("at random")
	}
	return nil
}

func unreliableHandler(concurrency, batch int) Handler {
	return Handler{
		Name: "h", Topic: "t", Concurrency: concurrency, Batch: batch, Timeout: 100 * time.Millisecond,
		HandleTx: unreliable,
		Retry:    jobs.Retry{Attempts: 1000, Backoff: time.Millisecond, MaxBackoff: 10 * time.Millisecond},
	}
}

// wantExactlyOnce waits until n events are done, and compares what was left with what was emitted.
func wantExactlyOnce(t *testing.T, pool *pgxpool.Pool, n int) {
	t.Helper()
	pgtest.Eventually(t, "every event to be done", func() bool {
		return pgtest.Value[bool](t, pool,
			`select coalesce((select done @> int8range(1, $1 + 1) from pgsolo.cursor where handler = 'h'), false)
			and not exists (select from pgsolo.delivery)`, n)
	})
	if pgtest.Value[bool](t, pool,
		`select (select (count(*), count(distinct event_id), sum(n)) from effect) is distinct from
		(select (count(*), count(*), sum(payload::bigint)) from pgsolo.event)`) {
		t.Errorf("effects: count, events, sum: %s; emitted: %s",
			pgtest.Value[string](t, pool, `select (count(*), count(distinct event_id), sum(n))::text from effect`),
			pgtest.Value[string](t, pool, `select (count(*), count(*), sum(payload::bigint))::text from pgsolo.event`))
	}
}

// Whatever fails, and whichever leader works or still works, what was written is what was emitted.
func TestExactlyOnce(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ concurrency, batch int }{
		"one by one": {3, 1},
		"batches":    {2, 20},
	} {
		t.Run(name, func(t *testing.T) {
			pool := setupEffects(t)
			config := pool.Config()
			config.ConnConfig.RuntimeParams["application_name"] = "leader"
			leaders, err := pgxpool.NewWithConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(leaders.Close)

			stop := make(chan struct{})
			var ending sync.WaitGroup
			ending.Go(func() { // sessions at work, at random moments
				for !loop.IsClosed(stop) {
					_, err := pool.Exec(context.Background(),
						`select pg_sleep(random() / 20), (select pg_terminate_backend(pid)
						from pg_stat_activity where datname = current_database() and application_name = 'leader'
							and xact_start is not null
						order by random() limit 1)`)
					if err != nil {
						t.Error(err)
						return
					}
				}
			})
			const terms, perTerm = 20, 150
			var last *leader
			for term := range int64(terms) {
				last = leadWith(t, term+1,
					Options{Pool: leaders, Subscribe: jobstest.Listen(t, pool),
						Handlers: []Handler{unreliableHandler(test.concurrency, test.batch)}})
				emitNumbers(t, pool, perTerm)
				want := rand.IntN(2 * perTerm)
				left := pgtest.Value[int](t, pool, `select count(*) from effect`)
				pgtest.Eventually(t, "some progress", func() bool {
					select {
					case err := <-last.ended:
						t.Fatalf("the leader of term %d ended: %v", term+1, err)
					default:
					}
					n := pgtest.Value[int](t, pool, `select count(*) from effect`)
					return n >= min(left+want, int(term+1)*perTerm*9/10)
				})
				if term%2 == 0 { // the others go on until they are fenced
					last.die()
				}
			}
			close(stop)
			ending.Wait()
			wantExactlyOnce(t, pool, terms*perTerm)
		})
	}
}

// The same over the ends of whole processes.
func TestExactlyOnceOverKills(t *testing.T) {
	t.Parallel()
	pool := setupEffects(t)
	const kills, perTerm = 20, 100
	for term := range kills {
		emitNumbers(t, pool, perTerm)
		child := exec.Command(os.Args[0], "-test.run=^TestLeaderProcess$")
		child.Env = append(os.Environ(), leaderURL+"="+pool.Config().ConnString(), leaderTerm+"="+strconv.Itoa(term+1))
		child.Stdout, child.Stderr = os.Stderr, os.Stderr
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		want := pgtest.Value[int](t, pool, `select count(*) from effect`) + 1 + rand.IntN(perTerm)
		pgtest.Eventually(t, "some progress", func() bool {
			return pgtest.Value[int](t, pool, `select count(*) from effect`) >= min(want, (term+1)*perTerm*9/10)
		})
		if err := child.Process.Kill(); err != nil {
			t.Error(err)
		}
		_ = child.Wait()
	}
	lead(t, pool, kills+1, unreliableHandler(2, 10))
	wantExactlyOnce(t, pool, kills*perTerm)
}

const (
	leaderURL  = "PGSOLO_TEST_LEADER_URL"
	leaderTerm = "PGSOLO_TEST_LEADER_TERM"
)

// TestLeaderProcess is the process that TestExactlyOnceOverKills kills.
func TestLeaderProcess(t *testing.T) {
	if os.Getenv(leaderURL) == "" {
		t.Skip("is for TestExactlyOnceOverKills")
	}
	pool, err := pgxpool.New(t.Context(), os.Getenv(leaderURL))
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	term, err := strconv.ParseInt(os.Getenv(leaderTerm), 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	runner, err := New(Options{Pool: pool, Handlers: []Handler{unreliableHandler(2, 10)}})
	if err != nil {
		t.Fatal(err)
	}
	t.Error(runner.Run(t.Context(), jobs.Lead{Number: term}))
}
