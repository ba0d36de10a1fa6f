package config

import (
	"strings"
	"testing"
)

// What cannot work is refused by name, and nothing of a password that has broken its URL is repeated.
func TestPostgresURLs(t *testing.T) {
	const app = "postgres://app:hunter2@localhost:5432/app"
	for url, want := range map[string]string{
		app:                      "",
		app + "?sslmode=disable": "",
		app + "?application_name=x&statement_timeout=5s&connect_timeout=3":      "",
		app + "?options=-c%20search_path%3Da&custom.setting=1&TimeZone=UTC":     "",
		app + "?sslmode=prefer&sslpassword=hunter2&channel_binding=prefer":      "",
		"postgres://app:hunter2@a:5432,b:5433/app?target_session_attrs=primary": "",
		"postgres://app:hunter2@a,b/app":                                        "",
		"postgres://app:p%40ss%2Fword%23@localhost/app":                         "",
		"postgres://app:p@ss@localhost/app":                                     "",
		"postgres:///app?host=/var/run/postgresql&user=app":                     "",
		"postgres://app@/app?host=a,b":                                          "",
		"postgresql://app:hunter2@[::1]:5432/app":                               "",
		"postgres://app:p@hunter2/word@localhost/app":                           "%40",
		"postgres://app:12/hunter2@localhost/app":                               "%2F",
		"postgres://app:12#hunter2@localhost/app":                               "%23",
		"postgres://app:p@hunter2/word@a:5432,b:5433/app":                       "%40",
		"postgres://app:12?hunter2@localhost/app":                               "%3F",
		"postgres://app:pa/hunter2@localhost/app":                               "cannot parse",
		"host=localhost user=app password=hunter2":                              "key=value",
		"app:hunter2@localhost/app":                                             "begins with postgres://",
		app + "?SSLMODE=disable":                                                "write sslmode",
		app + "?ssl_mode=disable":                                               "write sslmode",
		app + "?connect-timeout=3":                                              "connect_timeout is for that",
		app + "?POOL_MAX_CONNS=7":                                               "max_sessions",
		app + "?poolMaxConns=7":                                                 "max_sessions",
		app + "?KEEPALIVES=1":                                                   "of libpq",
		app + "?statement_timout=5s":                                            "Did you mean statement_timeout",
		app + "?timezone=UTC&STATEMENT_TIMEOUT=5s&Search_Path=a":                "",
		app + "?hunter2=1":                                                      "does not know",
		"user=app\npassword=hunter2":                                            "key=value",
		app + "?default_query_exec_mode=exec":                                   "default_query_exec_mode",
		app + "?default_query_exec_mode=simple_protocol":                        "default_query_exec_mode",
		app + "?statement_cache_capacity=0":                                     "statement_cache_capacity",
		app + "?description_cache_capacity=7":                                   "description_cache_capacity",
		app + "?pool_max_conns=7":                                               "max_sessions",
		app + "?keepalives_idle=30":                                             "keepalives_idle",
		app + "?gssencmode=disable":                                             "gssencmode",
		app + "?pgbouncer=true":                                                 "pgbouncer",
		app + "?schema=public":                                                  "the argument schema",
		app + "?ssl=false":                                                      "sslmode=disable",
		app + "?sslfactory=x":                                                   "sslfactory",
	} {
		got := checkPostgresURL(url)
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q, want %q", url, got, want)
		}
		if strings.Contains(got, "hunter2") {
			t.Errorf("the password is in %q", got)
		}
	}
}

// Of several hosts the primary is taken, unless the URL or the environment says otherwise.
func TestPrimaryOfSeveralHosts(t *testing.T) {
	for url, want := range map[string]bool{
		"postgres://app@a/app?sslmode=disable":                              false,
		"postgres://app@a/app?sslmode=prefer":                               false,
		"postgres://app@a,b/app?sslmode=prefer":                             true,
		"postgres://app@a:1,a:2/app":                                        true,
		"postgres://app@/app?host=a,b":                                      true,
		"postgres://app@a,b/app?target_session_attrs=any":                   false,
		"postgres://app@a,b/app?target_session_attrs=read-write":            true,
		"postgres://app@a,b/app?sslmode=disable&target_session_attrs=any":   false,
		"postgres://app@a/app?sslmode=disable&target_session_attrs=primary": true,
	} {
		pool, err := Postgres{URL: url}.PoolConfig()
		if err != nil {
			t.Fatal(err)
		}
		if got := pool.ConnConfig.ValidateConnect != nil; got != want {
			t.Errorf("%s: the server is asked: %t", url, got)
		}
	}
	t.Setenv("PGTARGETSESSIONATTRS", "any")
	pool, err := Postgres{URL: "postgres://app@a,b/app"}.PoolConfig()
	if err != nil || pool.ConnConfig.ValidateConnect != nil {
		t.Errorf("with the environment: %v", err)
	}
}
