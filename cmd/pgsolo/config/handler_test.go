package config

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

func TestHandlerValues(t *testing.T) {
	plain := eventlog.Handler{Name: "h", Topic: "orders"}.WithDefaults()
	with := func(change func(*eventlog.Handler)) eventlog.Handler {
		changed := plain
		change(&changed)
		return changed
	}
	for source, want := range map[string]eventlog.Handler{
		``:                    plain,
		`start = "latest"`:    with(func(h *eventlog.Handler) { h.Start = eventlog.StartLatest }),
		`order = "key"`:       with(func(h *eventlog.Handler) { h.Order = eventlog.OrderKey }),
		`rate_limit = "1/s"`:  with(func(h *eventlog.Handler) { h.Rate = jobs.Rate{Events: 1, Per: time.Second} }),
		`rate_limit = "30/m"`: with(func(h *eventlog.Handler) { h.Rate = jobs.Rate{Events: 30, Per: time.Minute} }),
		`rate_limit = "1000000/h"`: with(func(h *eventlog.Handler) {
			h.Rate = jobs.Rate{Events: 1_000_000, Per: time.Hour}
		}),
		"order = \"key\"\non_dead = \"block_key\"": with(func(h *eventlog.Handler) {
			h.Order, h.OnDead = eventlog.OrderKey, eventlog.OnDeadBlockKey
		}),
		// What jobs takes for none.
		`retry { jitter = 0 }`:                   with(func(h *eventlog.Handler) { h.Retry.Jitter = -1 }),
		`retry { jitter = env("ABSENT", "0.5")}`: with(func(h *eventlog.Handler) { h.Retry.Jitter = 0.5 }),
		`retry { backoff = "2h" }`: with(func(h *eventlog.Handler) {
			h.Retry.Backoff, h.Retry.MaxBackoff = 2*time.Hour, 2*time.Hour
		}),
		`breaker { failures = 3 }`: with(func(h *eventlog.Handler) {
			h.Breaker = jobs.Breaker{Failures: 3, Pause: time.Second, MaxPause: time.Minute}
		}),
		"breaker {\nfailures = 1\npause = \"5m\"\n}": with(func(h *eventlog.Handler) {
			h.Breaker = jobs.Breaker{Failures: 1, Pause: 5 * time.Minute, MaxPause: 5 * time.Minute}
		}),
	} {
		config := parse(t,
			"topic \"orders\" {}\nhandler \"h\" {\ntopic = \"orders\"\n"+source+"\nexec { command = [\"/bin/ls\"] }\n}")
		if diff := cmp.Diff(want, config.Elections[0].Handlers[0].Handler, compareOptions()...); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
		mustRun(t, config)
	}
}

func TestAnyTopic(t *testing.T) {
	config := parse(t, `
		topic "*" { retention = "24h" }
		topic "orders" {}
		handler "h" {
			topic = "invoices"
			exec { command = ["/bin/ls"] }
		}`)
	if diff := cmp.Diff([]eventlog.Topic{{Name: "*", Retention: 24 * time.Hour}, {Name: "orders"}},
		config.Topics); diff != "" {
		t.Errorf("topics (-want +got):\n%s", diff)
	}
	mustRun(t, config)
}

func TestReferenceRuns(t *testing.T) {
	config, err := Load(reference, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	mustRun(t, config)
}

func TestNotify(t *testing.T) {
	for value, want := range map[string]bool{`true`: true, `false`: false, `env("ABSENT", "false")`: false} {
		config, err := Parse("config.hcl", []byte("postgres {\nurl = env(\"DATABASE_URL\")\nnotify = "+value+"\n}"),
			testEnv)
		if err != nil {
			t.Fatal(err)
		}
		if config.Postgres.Notify != want {
			t.Errorf("notify = %s: %t", value, config.Postgres.Notify)
		}
	}
}

// mustRun holds that what is accepted here is accepted there.
func mustRun(t *testing.T, config *Config) {
	t.Helper()
	pool, err := pgxpool.New(t.Context(), "postgres://127.0.0.1:1/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	work := workOf(config, Resources{})
	_, err = eventlog.New(eventlog.Options{
		Pool: pool, Handlers: work.Handlers, Topics: config.Topics,
		Subscribe: func(string) (jobs.Subscription, error) { return jobs.Subscription{}, nil },
	})
	if err != nil {
		t.Error(err)
	}
	if _, err := cron.New(cron.Options{Pool: pool, Jobs: work.Crons}); err != nil {
		t.Error(err)
	}
}
