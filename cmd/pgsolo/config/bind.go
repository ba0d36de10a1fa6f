package config

import (
	"context"
	"net/http"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// Resources are what actions run with. They belong to the caller, who closes them after the last action has ended.
type Resources struct {
	Logger hclog.Logger // what actions log to; default: none

	// HTTPClient is of all webhooks, as webhook.NewClient makes it. Default: a new connection for each request.
	HTTPClient *http.Client

	// Sessions are those of statements that run outside of the log's transactions, by the name of the election, for
	// those that have NeedsSessions. They bear the leader's name, and were made with sql.WatchPool.
	Sessions map[string]*pgxpool.Pool
}

// Work is what the leader of an election runs.
type Work struct {
	Handlers []eventlog.Handler
	Crons    []cron.Job
}

// Bind makes the work of each election, by its name. It changes nothing of the configuration, and may be called again.
func (c *Config) Bind(resources Resources) map[string]Work {
	bound := map[string]Work{}
	for _, e := range c.Elections {
		with := tools{logger: resources.Logger, client: resources.HTTPClient, sessions: resources.Sessions[e.Name]}
		var work Work
		for _, h := range e.Handlers {
			work.Handlers = append(work.Handlers, h.bind(with))
		}
		for _, job := range e.Crons {
			work.Crons = append(work.Crons, job.bind(with))
		}
		bound[e.Name] = work
	}
	return bound
}

func (h Handler) bind(with tools) eventlog.Handler {
	handler := h.Handler
	if h.when != nil {
		handler.When = h.when.holds
	}
	if h.InTransaction {
		handler.HandleTx = func(ctx context.Context, tx pgx.Tx, event eventlog.Event) error {
			bound, err := h.action.resolve(with, func() block.Scope { return eventScope(event) })
			if err != nil {
				return err
			}
			return bound.named(bound.runTx()(ctx, tx))
		}
		return handler
	}
	handler.Handle = func(ctx context.Context, event eventlog.Event) error {
		bound, err := h.action.resolve(with, func() block.Scope { return eventScope(event) })
		if err != nil {
			return err
		}
		return bound.named(bound.run()(ctx, event.Invocation()))
	}
	return handler
}

func (c Cron) bind(with tools) cron.Job {
	job := c.Job
	job.Run = func(ctx context.Context, tick cron.Tick) error {
		bound, err := c.action.resolve(with, func() block.Scope { return tickScope(tick) })
		if err != nil {
			return err
		}
		return bound.named(bound.run()(ctx, tick.Invocation()))
	}
	return job
}
