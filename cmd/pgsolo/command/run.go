package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/app"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
)

// forcedEnd is how long after the drain the program may take to end; then it exits whatever still runs.
const forcedEnd = 10 * time.Second

// sameSignal is how soon after the first a signal counts as the same one: timeout(1) and others send it to the process and to its
// group.
const sameSignal = 50 * time.Millisecond

func runCommand(t terminal) *cobra.Command {
	var (
		path       string
		withParent bool
	)
	cmd := &cobra.Command{
		Use:   "run",
		Short: "Run one replica (in production)",
		Long: `Run one replica: it competes, and works when it leads.

While PostgreSQL is out of reach it waits and is not ready. SIGTERM and SIGINT hand over:
nothing new is begun, running work may finish within 'drain'. A second signal exits at once.

Exit codes: 0 done, 1 error, 2 usage or configuration, 3 leadership lost or unhealthy.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			cfg, err := config.Load(path, os.LookupEnv)
			if err != nil {
				return err
			}
			if withParent {
				go exitAtEOF(t.in)
			}
			return serve(cmd.Context(), cfg, newLogger(cfg.Log, t.err))
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().BoolVar(&withParent, "with-parent", false, "exit at once when standard input ends")
	_ = cmd.Flags().MarkHidden("with-parent") // errs only for a flag that does not exist
	return cmd
}

// exitAtEOF ends the process with whoever holds the other end of its standard input, however that ends.
func exitAtEOF(in io.Reader) {
	_, _ = io.Copy(io.Discard, in)
	os.Exit(exitError)
}

// serve runs a replica until it ends or a signal ends it.
func serve(ctx context.Context, cfg *config.Config, logger hclog.Logger) error {
	if err := checkWork(cfg); err != nil {
		return err
	}
	replica, err := app.New(app.Options{
		Config: cfg, Logger: logger, Build: build(),
		Unhealthy: func(err error) {
			logger.Error("exiting at once", "error", err)
			os.Exit(exitUnhealthy)
		},
	})
	if err != nil {
		return err
	}
	handlers, crons := cfg.Work()
	logger.Info("starting", "version", build().Version, "elections", len(cfg.Elections), "handlers", handlers, "cron_jobs", crons)
	ctx, stop := untilSignal(ctx, logger, longestDrain(cfg))
	defer stop()
	if err := replica.Run(ctx); err != nil {
		logger.Error("ended", append([]any{"error", strings.Join(strings.Fields(err.Error()), " "), "exit_code", exitCodeOf(err)}, remedy(err)...)...)
		return &loggedError{err}
	}
	logger.Info("ended")
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
	case refused && pgErr.Code == "42501":
		return []any{"remedy", "let the role of postgres.url use pgsolo's schema, or let it run 'pgsolo migrate'"}
	}
	return nil
}

// loggedError has been logged, where a person who reads logs in their format finds it: it is not printed again.
type loggedError struct{ error }

func (e *loggedError) Unwrap() error { return e.error }

// checkWork refuses a configuration with which a leader would have nothing to do.
func checkWork(cfg *config.Config) error {
	if handlers, crons := cfg.Work(); handlers+crons == 0 {
		return &usageError{errors.New("the configuration has no handler and no cron job: there is nothing to run")}
	}
	return nil
}

func longestDrain(cfg *config.Config) (drain time.Duration) {
	for _, e := range cfg.Elections {
		drain = max(drain, e.Drain)
	}
	return drain
}

// untilSignal returns a context that the first SIGTERM or SIGINT ends. The second one, or the end of the time for a planned
// stop, ends the process.
func untilSignal(ctx context.Context, logger hclog.Logger, drain time.Duration) (context.Context, func()) {
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, syscall.SIGTERM, syscall.SIGINT)
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		select {
		case s := <-signals:
			logger.Info("stopping", "signal", s.String(), "drain", drain)
			cancel()
		case <-done:
			return
		}
		first, end := time.Now(), time.After(drain+forcedEnd)
		for {
			select {
			case s := <-signals:
				if time.Since(first) < sameSignal {
					continue
				}
				logger.Warn("exiting at once", "signal", s.String())
			case <-end:
				logger.Error("exiting at once: something has not stopped", "after", drain+forcedEnd)
			case <-done:
				return
			}
			os.Exit(exitError)
		}
	}()
	return ctx, func() {
		signal.Stop(signals)
		cancel()
		close(done)
		<-ended
	}
}
