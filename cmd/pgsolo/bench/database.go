package bench

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// ownName is the application_name of the bench's own sessions, which are not counted.
const ownName = "pgsolo bench"

// database is where a run works.
type database struct {
	url    string
	name   string
	admin  *pgx.Conn
	server *privatepg.Server // nil where the server was given
}

// serverSettings of the private server: commits are flushed to disk as in production, and nothing happens by itself
// that would be taken for the work of a standby.
func serverSettings() map[string]string {
	return map[string]string{
		"fsync": "on", "full_page_writes": "on",
		"autovacuum": "off", "checkpoint_timeout": "1h", "max_wal_size": "8GB",
		"logging_collector": "on", // so that the server can say how long its log is
	}
}

// openDatabase makes a database on the server that was given, or on a private one. The caller closes it, also after an
// error.
func openDatabase(ctx context.Context, options Options, p *progress) (d *database, err error) {
	d = &database{url: options.URL, name: "pgsolo_bench_" + strings.ToLower(rand.Text()[:10])}
	if d.url == "" {
		p.say("Starting PostgreSQL …")
		private := privatepg.Options{Progress: options.Progress, Settings: serverSettings()}
		if d.server, err = privatepg.Start(ctx, private); err != nil {
			return d, err
		}
		d.url = d.server.URL("postgres")
	}
	config, err := pgx.ParseConfig(d.url)
	if err != nil {
		return d, fmt.Errorf("server URL: %w", err) // pgx keeps the password out of it
	}
	config.RuntimeParams["application_name"] = ownName
	sessions(config)
	if d.admin, err = pgx.ConnectConfig(ctx, config); err != nil {
		return d, err
	}
	if d.url, err = withDatabase(d.url, d.name); err != nil {
		return d, err
	}
	if _, err = d.admin.Exec(ctx, "create database "+d.name); err != nil {
		return d, fmt.Errorf("create a database for the bench: %w", err)
	}
	return d, nil
}

// withDatabase returns the URL of another database on the same server.
func withDatabase(server, name string) (string, error) {
	u, err := url.Parse(server)
	if err != nil || u.Scheme == "" {
		return "", errors.New("--url: want a URL such as postgres://user@host/database") // err would show the password
	}
	query := u.Query()
	query.Del("dbname")
	query.Del("database")
	u.Path, u.RawQuery = "/"+name, query.Encode()
	return u.String(), nil
}

// How long the database may take to be dropped.
const dropWait = 20 * time.Second

// close drops the database and ends all sessions on it, or stops a private server.
func (d *database) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, dropWait)
	defer cancel()
	if d.admin != nil {
		_ = d.admin.Close(ctx)
	}
	if d.server != nil {
		return d.server.Stop()
	}
	if d.admin == nil {
		return nil
	}
	if err := d.drop(ctx); err != nil {
		return fmt.Errorf("drop the bench's database: %w", err)
	}
	return nil
}

// drop has a session of its own: the other one is gone if its statement was interrupted.
func (d *database) drop(ctx context.Context) error {
	select {
	case <-d.admin.PgConn().CleanupDone(): // and with it an interrupted creation is over
	case <-ctx.Done():
		return ctx.Err()
	}
	conn, err := pgx.ConnectConfig(ctx, d.admin.Config())
	if err != nil {
		return err
	}
	defer conn.Close(ctx)
	_, err = conn.Exec(ctx, "drop database if exists "+d.name+" with (force)")
	return err
}
