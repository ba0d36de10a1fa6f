package sql_test

import (
	"context"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/jobs/sql"
)

// In the transaction that marks the event as done: exactly once.
func ExampleStatement_RunTx() {
	handler := eventlog.Handler{
		Name:  "totals",
		Topic: "orders",
		HandleTx: func(ctx context.Context, tx pgx.Tx, event eventlog.Event) error {
			return sql.Statement{
				SQL: `insert into order_total (id, amount)
					select j.id, j.amount from jsonb_to_record($1) as j(id text, amount numeric)`,
				Args: []any{string(event.Payload)},
			}.RunTx(ctx, tx)
		},
	}
	_ = handler // one of eventlog.Options.Handlers
}

func ExampleStatement_Run() {
	config, err := pgxpool.ParseConfig("postgres://app@localhost:5432/app")
	if err != nil {
		panic(err)
	}
	config.ConnConfig.OnNotice = sql.KeepNotices
	sql.WatchPool(config)
	pool, err := pgxpool.NewWithConfig(context.Background(), config) // beside the runner's: a statement may take long
	if err != nil {
		panic(err)
	}
	defer pool.Close()

	purge := cron.Job{
		Name:      "purge_sessions",
		Schedules: []string{"*/5 * * * *"},
		Run: func(ctx context.Context, tick cron.Tick) error {
			return sql.Statement{
				SQL:  `delete from session where expires_at < $1`,
				Args: []any{tick.ScheduledAt},
				Pool: pool, Watched: true,
			}.Run(ctx, tick.Invocation())
		},
	}
	_ = purge // one of cron.Options.Jobs
}
