package replica

import (
	"context"
	"errors"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
)

// Many of the tests wait, rather than work, so that more of them may run at once than there are processors.
func TestMain(m *testing.M) {
	flag.Parse()
	if err := flag.Set("test.parallel", "6"); err != nil {
		panic(err)
	}
	os.Exit(pgtest.Main(m, pgtest.Migrating(jobs.DefaultSchema, election.Migrate, jobs.Migrate)))
}

// setup runs a replica until the test ends.
func setup(t *testing.T, url, src string) *Replica {
	t.Helper()
	env := func(name string) (string, bool) { return url, name == "DATABASE_URL" }
	of, err := config.Parse("config.hcl", []byte(src), env)
	if err != nil {
		t.Fatal(err)
	}
	r, err := New(Options{Config: of, Unhealthy: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
	return r
}

// What the file says of topics and of NOTIFY reaches the leaders of all elections, and what handlers do, the metrics.
func TestConfigurationReachesTheLeader(t *testing.T) {
	bodies := make(chan string, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		bodies <- string(body)
	}))
	t.Cleanup(receiver.Close)
	url := pgtest.Database(t)
	r := setup(t, url, `
		postgres {
			url    = env("DATABASE_URL")
			notify = false
		}
		http { listen = "127.0.0.1:0" }
		election "main" { lease = "30s" }
		election "other" { lease = "30s" }
		topic "orders" { retention = "1s" }
		handler "h" {
			topic = "orders"
			when  = event.payload.status == "paid"
			webhook { url = "`+receiver.URL+`" }
		}
		cron "c" {
			election = "other"
			schedule = "@yearly"
			exec { command = ["true"] }
		}`)
	conn := pgtest.Connect(t, url)
	var groups int
	pgtest.Eventually(t, "both leaders to name the topics", func() bool {
		err := conn.QueryRow(t.Context(), `select count(*) from pgsolo.topic where topic = 'orders'`).Scan(&groups)
		return err == nil && groups == 2
	})

	_, err := conn.Exec(t.Context(), `insert into pgsolo.event (topic) values ('order')`)
	if refused, ok := errors.AsType[*pgconn.PgError](err); !ok || refused.ConstraintName != "event_topic_known" {
		t.Errorf("an event of an unknown topic: %v", err)
	}
	const two = `insert into pgsolo.event (topic, payload)
		values ('orders', '{"status": "open"}'), ('orders', '{"status": "paid"}')`
	if _, err := conn.Exec(t.Context(), two); err != nil {
		t.Fatal(err)
	}
	if body := <-bodies; body != `{"status": "paid"}` {
		t.Errorf("the handler got %s first", body)
	}
	pgtest.Eventually(t, "the metrics", func() bool {
		metrics := scrape(t, r)
		return strings.Contains(metrics, `pgsolo_handler_handled_total{handler="h"} 1`) &&
			strings.Contains(metrics, `pgsolo_handler_filtered_total{handler="h"} 1`) &&
			strings.Contains(metrics, `pgsolo_handler_duration_seconds_count{handler="h"} 1`)
	})
	if metrics := scrape(t, r); !strings.Contains(metrics, "pgsolo_listener_subscriptions 0\n") {
		t.Error("a channel is listened to, although notify is false")
	}
	pgtest.Eventually(t, "the end of the retention", func() bool {
		var kept int
		err := conn.QueryRow(t.Context(), `select count(*) from pgsolo.event`).Scan(&kept)
		return err == nil && kept == 0
	})
}

func scrape(t *testing.T, r *Replica) string {
	t.Helper()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Get("http://" + r.Addr().String() + "/metrics")
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func TestPoolSize(t *testing.T) {
	for _, test := range []struct{ handlers, crons, workers, want int }{
		{0, 0, 0, 4}, {0, 1, 0, 4}, {1, 0, 0, 4}, {2, 3, 0, 8}, {7, 0, 0, 16}, {100, 100, 0, 16},
		{1, 0, 1, 5}, {2, 3, 32, 40}, {100, 0, 20, 36},
	} {
		of := &config.Election{Handlers: make([]config.Handler, test.handlers), Crons: make([]config.Cron, test.crons)}
		if test.workers > 0 { // of transactions
			of.Handlers[0].InTransaction = true
			of.Handlers[0].Concurrency = test.workers
		}
		if got := PoolSize(len(of.Handlers), len(of.Crons), transactionWorkers(of)); int(got) != test.want {
			t.Errorf("%+v: %d sessions", test, got)
		}
	}
}

// A session that hangs does not keep a replica that has resigned from its end.
func TestCloseIsBounded(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	env := func(name string) (string, bool) { return url, name == "DATABASE_URL" }
	of, err := config.Parse("config.hcl", []byte(forStatements), env)
	if err != nil {
		t.Fatal(err)
	}
	var log pgtest.Buffer
	r, err := New(Options{Config: of, Logger: hclog.New(&hclog.LoggerOptions{Output: &log}),
		Unhealthy: func(err error) { t.Error(err) }})
	if err != nil {
		t.Fatal(err)
	}
	held, err := r.sessions.pool.Acquire(standing(t.Context()))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	cancel()
	if err := pgtest.Within(t, "the end", ended); err != nil {
		t.Error(err)
	}
	if !strings.Contains(log.String(), "sessions of the database have not ended") {
		t.Errorf("not said:\n%s", &log)
	}
	held.Release()
	r.sessions.close() // all of them, for the check of leaks
}
