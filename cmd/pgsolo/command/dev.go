package command

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"os"

	"github.com/hashicorp/go-hclog"
	"github.com/spf13/cobra"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

func devCommand(s Streams) *cobra.Command {
	var path, data string
	cmd := &cobra.Command{
		Use:   "dev",
		Short: "Run one replica with a PostgreSQL of its own",
		Long: `Run one replica with a private PostgreSQL, migrated, whatever the configuration says of the
database; env("DATABASE_URL") is that of the private one. HTTP is served on the loopback interface
alone, at the port of the configuration. It logs at level debug, which shows each event and what
commands print. The server ends with the program.`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			// The configuration first: its mistakes should not wait for a database. Its connection string comes later.
			if _, err := loadForDev(path, "postgres://postgres@127.0.0.1/postgres"); err != nil {
				return err
			}
			starting, stop := untilInterrupt(cmd.Context()) // a second signal ends what waits for an output
			server, err := privatepg.Start(starting, privatepg.Options{Dir: data, Progress: s.Err})
			stop()
			if err != nil {
				return err
			}
			err = dev(cmd.Context(), s, path, server)
			if stopErr := server.Stop(); err == nil {
				err = stopErr
			}
			return err
		},
	}
	configFlag(cmd, &path)
	cmd.Flags().StringVar(&data, "data", "", "keep the database in this folder (default: a temporary one)")
	return cmd
}

func dev(ctx context.Context, s Streams, path string, server *privatepg.Server) error {
	cfg, err := loadForDev(path, server.URL("postgres"))
	if err != nil {
		return err
	}
	if err := replica.Migrate(ctx, cfg.Postgres.URL, cfg.Postgres.Schema); err != nil {
		return err
	}
	const hint = "PostgreSQL is at\n\n  psql '%s'\n\n" +
		"An event is a row:\n\n  insert into %s.event (topic, payload) values ('%s', '{}');\n\n"
	fmt.Fprintf(s.Out, hint, cfg.Postgres.URL, cfg.Postgres.Schema, exampleTopic(cfg.Topics))
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-server.Done(): // by itself
			cancel()
		case <-ctx.Done():
		}
	}()
	j := openJournal(cfg.Log, s.Err)
	defer j.close()
	return whyEnded(run(ctx, cfg, j), server, j)
}

// whyEnded prefers the end of the database as a reason.
func whyEnded(err error, server *privatepg.Server, logger hclog.Logger) error {
	if dbErr := server.Err(); dbErr != nil {
		if err != nil {
			logger.Debug("ended with the database", "error", err)
		}
		return dbErr
	}
	return err
}

// loadForDev loads the configuration for another database than it names.
func loadForDev(path, url string) (*config.Config, error) {
	cfg, err := config.Load(path, func(name string) (string, bool) {
		if name == "DATABASE_URL" {
			return url, true
		}
		return os.LookupEnv(name)
	})
	if err != nil {
		return nil, err
	}
	cfg.Postgres.URL = url
	cfg.HTTP.Listen = onLoopback(cfg.HTTP.Listen)
	if cfg.Log.Level != "trace" {
		cfg.Log.Level = "debug" // a developer wants to see each event
	}
	return cfg, nil
}

// onLoopback is the address for a machine whose neighbours have no business with what is tried out on it.
func onLoopback(address string) string {
	host, port, err := net.SplitHostPort(address)
	if err != nil || host == "localhost" {
		return address
	}
	switch ip, err := netip.ParseAddr(host); {
	case err == nil && ip.IsLoopback():
		return address
	case err == nil && ip.Is6():
		return net.JoinHostPort("::1", port)
	}
	return net.JoinHostPort("127.0.0.1", port)
}

func exampleTopic(topics []eventlog.Topic) string {
	for _, t := range topics {
		if t.Name != "*" {
			return t.Name
		}
	}
	return "topic"
}
