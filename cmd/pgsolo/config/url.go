package config

import (
	"fmt"
	"maps"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/pgxpool"
)

const urlForm = " Write postgres://user:password@host:5432/database, with special characters of the password " +
	"percent-encoded."

// checkPostgresURL says what is wrong with a connection URL. It never repeats a part of it but the name of a parameter
// that it knows, because a broken URL may have its password in any part, and so may the parser's message.
func checkPostgresURL(text string) string {
	scheme, rest, ok := strings.Cut(text, "://")
	switch {
	case text == "":
		return "The connection URL is empty." + urlForm
	case !ok && keyValue.MatchString(text):
		return "The connection string is of the form key=value, and here it is a URL." + urlForm
	case !ok || scheme != "postgres" && scheme != "postgresql":
		return "A connection URL begins with postgres:// or postgresql://." + urlForm
	}
	_, err := pgconn.ParseConfig(text)
	switch {
	case err == nil:
	case strings.Contains(err.Error(), "failed to configure TLS"):
		return "The TLS settings of the connection URL do not work. Check sslmode, sslrootcert, sslcert and sslkey, " +
			"and that their files exist."
	default:
		return "PostgreSQL clients cannot parse this connection URL." + urlForm
	}
	if isCutByPassword(rest) {
		return "The connection URL has an @, a / or a # where none can be: a password has to have them as %40, %2F " +
			"and %23." + urlForm
	}
	_, query, _ := strings.Cut(rest, "?")
	given, err := url.ParseQuery(query)
	for _, name := range slices.Sorted(maps.Keys(given)) {
		if err != nil || !parameterName.MatchString(name) {
			return "A parameter of the connection URL has no name that a setting could have: a password has to have " +
				"? as %3F and & as %26." + urlForm
		}
		if problem := checkParameter(name); problem != "" {
			return problem
		}
	}
	return ""
}

var (
	parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_-]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)
	keyValue      = regexp.MustCompile(`(^|\s)(host|hostaddr|port|dbname|user|password|sslmode|service)\s*=`)
)

// isCutByPassword says whether a password has ended the part of the URL that it is in, so that its tail counts as the
// name of a host, of a database, or as nothing.
func isCutByPassword(rest string) bool {
	u, err := url.Parse("postgres://" + rest)
	if err != nil { // of several hosts
		_, path, _ := strings.Cut(rest, "/")
		path, _, _ = strings.Cut(path, "?")
		return strings.ContainsAny(path, "@/#")
	}
	return strings.Contains(rest, "#") || strings.ContainsAny(strings.TrimPrefix(u.EscapedPath(), "/"), "@/")
}

// PoolConfig is how sessions reach the database. Of several hosts they take the primary, unless the URL says otherwise.
func (p Postgres) PoolConfig() (*pgxpool.Config, error) {
	pool, err := pgxpool.ParseConfig(p.URL)
	if err != nil {
		return nil, fmt.Errorf("postgres url: %w", err) // pgx keeps the password out of it
	}
	config := pool.ConnConfig
	config.RuntimeParams["client_encoding"] = "UTF8" // whatever that of the database is
	_, saysSo := os.LookupEnv("PGTARGETSESSIONATTRS")
	if !saysSo && !strings.Contains(p.URL, "target_session_attrs=") && hasSeveralHosts(config) {
		config.ValidateConnect = pgconn.ValidateConnectTargetSessionAttrsPrimary
	}
	return pool, nil
}

func hasSeveralHosts(config *pgx.ConnConfig) bool {
	return slices.ContainsFunc(config.Fallbacks, func(f *pgconn.FallbackConfig) bool {
		return f.Host != config.Host || f.Port != config.Port
	})
}
