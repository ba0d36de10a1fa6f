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
		if remedy, known := foreignParameters[name]; known {
			return fmt.Sprintf("The connection URL has the parameter %s, which PostgreSQL does not know: %s.", name,
				remedy)
		}
	}
	return ""
}

var parameterName = regexp.MustCompile(`^[A-Za-z_][A-Za-z0-9_]*(\.[A-Za-z_][A-Za-z0-9_]*)*$`)

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

const (
	ownMode   = "pgsolo sets that itself; remove it"
	ownNumber = "the argument max_sessions is for that"
	unknown   = "it is one of another client library; remove it"
	libpq     = "it is one of libpq, and this is another client; remove it"
)

// foreignParameters are what connection URLs of other programs have, with the remedy. A server refuses a session that
// names one.
var foreignParameters = map[string]string{
	"default_query_exec_mode": ownMode, "statement_cache_capacity": ownMode, "description_cache_capacity": ownMode,
	"prefer_simple_protocol": ownMode,

	"pool_max_conns": ownNumber, "pool_min_conns": ownMode, "pool_min_idle_conns": ownMode,
	"pool_max_conn_lifetime": ownMode, "pool_max_conn_lifetime_jitter": ownMode, "pool_max_conn_idle_time": ownMode,
	"pool_health_check_period": ownMode, "pool_ping_timeout": ownMode,

	"keepalives": libpq, "keepalives_idle": libpq, "keepalives_interval": libpq, "keepalives_count": libpq,
	"gssencmode": libpq, "gsslib": libpq, "gssdelegation": libpq, "sslcrl": libpq, "sslcrldir": libpq,
	"sslcompression": libpq, "ssl_min_protocol_version": libpq, "ssl_max_protocol_version": libpq,
	"sslkeylogfile": libpq, "requirepeer": libpq, "requiressl": libpq, "load_balance_hosts": libpq,
	"fallback_application_name": libpq, "hostaddr": libpq, "passfile": libpq, "scram_client_key": libpq,
	"scram_server_key": libpq, "oauth_issuer": libpq, "oauth_client_id": libpq, "oauth_client_secret": libpq,
	"oauth_scope": libpq, "replication": "pgsolo is no replica; remove it",

	"schema":        "the argument schema of the block postgres is for that",
	"currentSchema": "the argument schema of the block postgres is for that",
	"ssl":           "sslmode=require or sslmode=disable is for that", "useSSL": "sslmode=require is for that",
	"pgbouncer":  "connect to PostgreSQL directly, or to a pooler in session mode, and remove it",
	"sslfactory": unknown, "sslaccept": unknown, "sslidentity": unknown,
	"connection_limit": ownNumber, "pool_timeout": unknown, "socket_timeout": unknown,
	"statement_cache_size": unknown, "prepareThreshold": unknown, "prepared_statements": unknown, "charset": unknown,
	"binaryTransfer": unknown, "loggerLevel": unknown,
	"ApplicationName": "application_name is set by pgsolo; remove it",
	"connectTimeout":  "connect_timeout is for that", "socketTimeout": unknown, "tcpKeepAlive": unknown,
	"targetServerType": "target_session_attrs is for that", "loadBalanceHosts": unknown, "encoding": unknown,
	"sqlalchemy": unknown, "pool_size": ownNumber, "adapter": unknown, "pool": unknown,
	"timeout": "connect_timeout is for that", "reconnect": unknown,
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
