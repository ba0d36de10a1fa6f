package command

import (
	"context"
	"errors"
	"os"
	"strings"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
)

func runCommand(s Streams) *cobra.Command {
	var (
		path       string
		withParent bool
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run one replica (in production)",
		Long: `Run one replica: it competes, and works when it leads.

While PostgreSQL is out of reach it waits and is not ready. SIGTERM, SIGINT and SIGHUP hand
over: nothing new is begun, running work may finish within 'drain'. A second signal exits at once.

Exit codes: 0 done, 1 error, 2 usage or configuration, 3 leadership lost or unhealthy.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, os.LookupEnv)
			if err != nil {
				return err
			}
			if withParent {
				go exitAtEOF(s.In)
			}
			j := openJournal(cfg.Log, s.Err)
			defer j.close()
			return run(cmd.Context(), cfg, j)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&withParent, "with-parent", false, "exit at once when standard input ends")
	_ = cmd.Flags().MarkHidden("with-parent") // errs only for a flag that does not exist
	return cmd
}

// run runs a replica until it ends or a signal ends it.
func run(ctx context.Context, cfg *config.Config, j journal) error {
	if err := checkWork(cfg); err != nil {
		return err
	}
	outliveOutput(j)
	r, err := replica.New(replica.Options{
		Config: cfg, Logger: j.Logger, Build: build(),
		Unhealthy: func(err error) {
			j.exit(ExitUnhealthy, leftOfLease(cfg), hclog.Error, "exiting at once", "error", err)
		},
	})
	if err != nil {
		return err
	}
	handlers, crons := cfg.Work()
	j.Info("starting",
		"version", build().Version, "elections", len(cfg.Elections), "handlers", handlers, "cron_jobs", crons)
	ctx, stop := untilDrained(ctx, j, longestDrain(cfg))
	defer stop()
	if err := r.Run(ctx); err != nil {
		line := strings.Join(strings.Fields(err.Error()), " ")
		j.Error("ended", append([]any{"error", line, "exit_code", exitCodeOf(err)}, remedy(err)...)...)
		return &loggedError{err}
	}
	j.Info("ended")
	return nil
}

// remedy is what a person can do, for the log.
func remedy(err error) []any {
	pgErr, refused := errors.AsType[*pgconn.PgError](err)
	switch {
	case errors.Is(err, election.ErrSchema), errors.Is(err, jobs.ErrSchema):
		return []any{"remedy", "run 'pgsolo migrate' with this version"}
	case refused && (strings.HasPrefix(pgErr.Code, "28") || pgErr.Code == "3D000"):
		return []any{"remedy", "check the user, the password and the database of postgres.url"}
	case refused && pgErr.Routine == "check_enable_rls":
		return []any{"remedy", "alter table … disable row level security, or alter role … bypassrls"}
	case refused && pgErr.Code == "42501":
		return []any{"remedy", "let the role of postgres.url use pgsolo's schema, or let it run 'pgsolo migrate'"}
	}
	return nil
}

// checkWork refuses a configuration with which a leader would have nothing to do.
func checkWork(cfg *config.Config) error {
	if handlers, crons := cfg.Work(); handlers+crons == 0 {
		return &usageError{errors.New("the configuration has no handler and no cron job: there is nothing to run")}
	}
	return nil
}

// leftOfLease is how long the last line of a leader may take that has to end: it has a tenth of its lease until another
// may lead, of which the end of the process gets one half.
func leftOfLease(cfg *config.Config) time.Duration {
	within := lastWords
	for _, e := range cfg.Elections {
		within = min(within, e.Lease/20)
	}
	return within
}

func longestDrain(cfg *config.Config) (drain time.Duration) {
	for _, e := range cfg.Elections {
		drain = max(drain, e.Drain)
	}
	return drain
}
