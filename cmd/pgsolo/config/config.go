package config

import (
	"net/http"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/jobs/webhook"
)

// Config is a decoded configuration. Every default is filled in, except for HTTP.Advertise.
type Config struct {
	Postgres  Postgres
	Elections []*Election // at least one, in the order of the file
	HTTP      HTTP
	Log       Log

	Topics []eventlog.Topic // in the order of the file

	// ActionLogger is what the actions of Handlers and Crons log to. Set it before the first of them runs, and not after;
	// nil discards. It is not part of the file: the file says how to log, so the logger is made after loading.
	ActionLogger hclog.Logger

	client *http.Client // of all webhooks
	crons  []cron.Job   // those of all elections, in the order of the file
}

// Crons are the cron jobs of all elections, in the order of the file.
func (c *Config) Crons() []cron.Job { return c.crons }

// CloseIdleConnections closes the connections that webhooks keep for the next request. Call it after the last of them has
// ended.
func (c *Config) CloseIdleConnections() { c.client.CloseIdleConnections() }

// Postgres says where the database is.
type Postgres struct {
	URL    string // with its password: do not print it
	Schema string // default "pgsolo"
	Notify bool   // default true; false: the event log is polled, and its producers send no NOTIFY
}

// Election says how replicas compete, and for what.
type Election struct {
	Name         string        // default "main"
	Lease        time.Duration // 1 s to 1 min; default 5 s
	PollInterval time.Duration // 10 ms up to, not including, 1 s; default 900 ms
	Drain        time.Duration // 0 or more; default 20 s

	// What the leader of this election runs: the handlers and jobs that name it, and for the first one those that name none.
	Handlers []eventlog.Handler // with Handle or HandleTx set to their action
	Crons    []cron.Job         // with Run set to their action

	// NeedsSessions: some of them run SQL outside of the log's transactions. Then set Sessions before the first of them runs, to
	// sessions that bear the leader's name.
	NeedsSessions bool
	Sessions      *pgxpool.Pool
}

// HTTP says where to listen.
type HTTP struct {
	Listen    string // host:port; default ":8080"
	Advertise string // an http or https URL; empty: the program derives one
}

// Log says how to log.
type Log struct {
	Level  string // trace, debug, info, warn or error; default info
	Format string // text or json; default text
}

func defaults() *Config {
	return &Config{
		client:   webhook.NewClient(),
		Postgres: Postgres{Schema: jobs.DefaultSchema, Notify: true},
		HTTP:     HTTP{Listen: ":8080"},
		Log:      Log{Level: "info", Format: "text"},
	}
}

func defaultElection(name string) *Election {
	return &Election{Name: name, Lease: 5 * time.Second, PollInterval: 900 * time.Millisecond, Drain: 20 * time.Second}
}

func defaultHandler(name string) eventlog.Handler {
	return eventlog.Handler{Name: name, Concurrency: 1, Timeout: 30 * time.Second}
}

// defaultLogHandler has the defaults that only a handler of a topic has.
func defaultLogHandler() eventlog.Handler {
	return eventlog.Handler{
		Start: eventlog.StartEarliest, Order: eventlog.OrderNone, OnDead: eventlog.OnDeadContinue,
		Retry: jobs.Retry{Attempts: 10, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: 0.1},
	}
}

func defaultCron(name string) cron.Job {
	return cron.Job{
		Name: name, Location: time.UTC, Timeout: time.Hour,
		Missed: cron.MissedOnce, StartingDeadline: time.Hour, MaxCatchUp: 1000,
		Overlap: cron.OverlapSkip, OnInterrupt: cron.InterruptAbandon,
		Retry: jobs.Retry{Attempts: 1, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: 0.1},
		History: cron.History{
			Runs: 100, MaxAge: 30 * 24 * time.Hour,
			FailedRuns: 100, FailedMaxAge: 90 * 24 * time.Hour,
		},
	}
}

// Work is how many handlers and cron jobs there are.
func (c *Config) Work() (handlers, crons int) {
	for _, e := range c.Elections {
		handlers += len(e.Handlers)
		crons += len(e.Crons)
	}
	return handlers, crons
}
