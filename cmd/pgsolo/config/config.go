package config

import (
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// Config is what the file says. Every default is filled in, except for HTTP.Advertise. Bind makes work of it.
type Config struct {
	Postgres  Postgres
	Elections []*Election // at least one, in the order of the file
	HTTP      HTTP
	Log       Log

	Topics []eventlog.Topic // in the order of the file

	crons []cron.Job // those of all elections, in the order of the file
}

// Error is all that is wrong with a configuration. Error gives the first mistake in one line; Write shows every one
// with its source.
type Error = block.Error

// Crons are the cron jobs of all elections, in the order of the file, without Run.
func (c *Config) Crons() []cron.Job { return c.crons }

// Work is how many handlers and cron jobs there are.
func (c *Config) Work() (handlers, crons int) {
	for _, e := range c.Elections {
		handlers += len(e.Handlers)
		crons += len(e.Crons)
	}
	return handlers, crons
}

// Postgres says where the database is.
type Postgres struct {
	URL    string // with its password: do not print it
	Schema string // default "pgsolo"
	Notify bool   // default true; false: the event log is polled, and its producers send no NOTIFY

	// ForgetAfter is how long an election has to be led without what an earlier leader had, until that counts no more;
	// 0: no time; default 24 h.
	ForgetAfter time.Duration

	MaxSessions int // of this process in all; 0, the default: a fifth of what the server accepts, at least 5
}

const minSessions = 5 // that the argument may say

// Grace is ForgetAfter as the options of the engines have it.
func (p Postgres) Grace() time.Duration {
	if p.ForgetAfter == 0 {
		return jobs.ForgetAtOnce
	}
	return p.ForgetAfter
}

// Election says how replicas compete, and for what.
type Election struct {
	Name         string        // default "main"
	Lease        time.Duration // 1 s to 1 min; default 5 s
	PollInterval time.Duration // 10 ms up to, not including, 1 s; default 900 ms
	Drain        time.Duration // 0 or more; default 20 s

	// What the leader of this election runs: the handlers and jobs that name it, and for the first one those that name
	// none.
	Handlers []Handler
	Crons    []Cron

	// Fingerprint tells the topics, handlers and jobs from those of another configuration. It has 16 hexadecimal
	// digits, and is of the text without comments: the values of variables of the environment make no difference.
	Fingerprint string

	// NeedsSessions: some of them run SQL outside of the log's transactions. Then Bind needs sessions for this
	// election.
	NeedsSessions bool
}

// Handler describes a handler.
type Handler struct {
	eventlog.Handler // without Handle, HandleTx and When

	// InTransaction: its action runs in the transaction that marks the event as done, as HandleTx, and elsewhere as
	// Handle.
	InTransaction bool

	when   *condition // nil: all events
	action *action
}

// Cron describes a cron job.
type Cron struct {
	cron.Job // without Run

	action *action
}

// HTTP says where to listen.
type HTTP struct {
	Listen    string // host:port; default ":8080"
	Advertise string // an http or https URL; empty: the program derives one

	// Hosts are the names by which requests may ask for this server, beside IP addresses; empty: any.
	Hosts []string
}

// Log says how to log.
type Log struct {
	Level  string // trace, debug, info, warn or error; default "info"
	Format string // text or json; default "text"
}

// defaults are those of the program. Handlers and jobs get those of package jobs.
func defaults() *Config {
	return &Config{
		Postgres: Postgres{
			Schema: jobs.DefaultSchema, Notify: true, ForgetAfter: jobs.DefaultForgetAfter,
		},
		HTTP: HTTP{Listen: ":8080"},
		Log:  Log{Level: "info", Format: "text"},
	}
}

// defaultElection drains longer than package election does by itself, which is not at all.
func defaultElection(name string) *Election {
	return &Election{
		Name: name, Lease: election.DefaultLease, PollInterval: election.DefaultPollInterval, Drain: 20 * time.Second,
	}
}
