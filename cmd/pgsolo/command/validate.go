package command

import (
	"fmt"
	"os"
	"time"

	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

func validateCommand(s Streams) *cobra.Command {
	var path, at string
	cmd := &cobra.Command{
		Use:   "validate",
		Short: "Check the configuration, and show the next ticks of each cron job, without the database",
		Long: `Check the configuration, without the database, and show the next five ticks of each cron
job in its time zone. Ticks that daylight saving time moves are marked. To see what a
change of the clocks does, name an instant before it:

  pgsolo validate --at 2027-03-27T00:00:00Z

Whether somebody has paused a job is in the database, and not known here.`,
		Args: noArgs,
		RunE: func(*cobra.Command, []string) error {
			after, err := instant(at)
			if err != nil {
				return err
			}
			cfg, err := config.Load(path, os.LookupEnv)
			if err != nil {
				return err
			}
			if err := checkWork(cfg); err != nil {
				return err
			}
			handlers, crons := cfg.Work()
			fmt.Fprintf(s.Out, "%s is valid: %s, %s, %s, %s.\n", path, count(len(cfg.Elections), "election"),
				count(len(cfg.Topics), "topic"), count(handlers, "handler"), count(crons, "cron job"))
			if couldUse, most, short := replica.Shortage(cfg, cfg.Postgres.MaxSessions); short {
				fmt.Fprintf(s.Out, "Note: handlers and cron jobs could use %d sessions of the database at a time, and "+
					"take turns with %d: see postgres.max_sessions, by default a fifth of what the server accepts.\n",
					couldUse, most)
			}
			return writeTicks(s.Out, cfg.Crons(), after)
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&at, "at", "", "show the ticks after this instant, in RFC 3339 (default now)")
	return cmd
}

// instant reads a flag, which is empty for now.
func instant(flag string) (time.Time, error) {
	if flag == "" {
		return time.Now(), nil
	}
	at, err := time.Parse(time.RFC3339, flag)
	if err != nil {
		err = fmt.Errorf("--at %q is no instant: want one such as 2027-03-27T00:00:00Z", flag)
		return time.Time{}, &usageError{err}
	}
	return at, nil
}

func count(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
