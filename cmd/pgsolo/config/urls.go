package config

import (
	"fmt"
	"net"
	"net/url"
	"strconv"
	"strings"

	"github.com/jackc/pgx/v5/pgconn"
)

// checkPostgresURL says what is wrong with a connection URL. It never repeats a part of it, because a broken URL may have its
// password in any part, and so may the parser's message.
func checkPostgresURL(given text) string {
	const form = " Write postgres://user:password@host:5432/database, with special characters of the password percent-encoded."
	scheme, _, ok := strings.Cut(given.value, "://")
	switch {
	case given.value == "":
		return "The connection URL is empty." + form
	case !ok || scheme != "postgres" && scheme != "postgresql":
		return "A connection URL begins with postgres:// or postgresql://." + form
	}
	_, err := pgconn.ParseConfig(given.value)
	switch {
	case err == nil:
		return ""
	case strings.Contains(err.Error(), "failed to configure TLS"):
		return "The TLS settings of the connection URL do not work. Check sslmode, sslrootcert, sslcert and sslkey, and that their files exist."
	default:
		return "PostgreSQL clients cannot parse this connection URL." + form
	}
}

// checkWebURL says what is wrong with the URL of a server that speaks HTTP.
func checkWebURL(given text) string {
	parsed, err := url.Parse(given.value)
	if err != nil {
		return "The value is not a URL. Write one such as https://example.com/path, with special characters percent-encoded."
	}
	web := []string{"http", "https"}
	switch scheme, _, ok := strings.Cut(given.value, "://"); {
	case given.value == "":
		return "The URL is empty. Write one such as https://example.com/path."
	case !ok && !strings.ContainsAny(given.value, "@ "):
		return "The URL has no scheme." + given.hint("Did you mean %q?", "https://"+strings.TrimLeft(given.value, "/"))
	case !ok:
		return "The URL has no scheme. It begins with http:// or https://."
	case parsed.Scheme != "http" && parsed.Scheme != "https":
		if meant := nearest(scheme, web); meant != "" {
			return "The scheme of the URL is neither http nor https." + given.hint("Did you mean %q?", meant+"://")
		}
		return "The scheme of the URL is neither http nor https."
	case parsed.Hostname() == "":
		return "The URL names no host. Write one such as https://example.com/path."
	}
	return ""
}

// checkListen says what is wrong with an address to listen on.
func checkListen(given text) string {
	_, port, err := net.SplitHostPort(given.value)
	if err != nil {
		if isPort(given.value) {
			return given.shown() + " has no colon." + given.hint("Did you mean %q?", ":"+given.value)
		}
		return given.shown() + ` is not an address. Write host:port, or ":8080" for port 8080 on every interface.`
	}
	if !isPort(port) {
		return fmt.Sprintf("%s has no port between 0 and 65535. Write host:port.", given.shown())
	}
	return ""
}

func isPort(s string) bool {
	_, err := strconv.ParseUint(s, 10, 16)
	return err == nil
}
