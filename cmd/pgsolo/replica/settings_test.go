package replica

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// settings are what a database may set for a role, each by itself: values that are small, odd or of another time.
var settings = map[string][]string{
	"work_mem":    {"work_mem = '64kB'", "temp_file_limit = 0", "hash_mem_multiplier = 1", "temp_buffers = 100"},
	"isolation":   {"default_transaction_isolation = 'serializable'", "default_transaction_deferrable = on"},
	"read only":   {"default_transaction_read_only = on", "synchronous_commit = 'remote_apply'"},
	"time-outs":   {"statement_timeout = 1", "lock_timeout = 1", "deadlock_timeout = 1"},
	"idle":        {"idle_session_timeout = 1", "idle_in_transaction_session_timeout = 1"},
	"tcp":         {"tcp_user_timeout = 1", "tcp_keepalives_idle = 1", "client_connection_check_interval = 1"},
	"search_path": {"search_path = ''", "row_security = on"},
	"stack":       {"max_stack_depth = '100kB'", "gin_fuzzy_search_limit = 1"},
	"triggers":    {"session_replication_role = 'replica'"},
	"tablespaces": {"default_tablespace = 'nowhere'", "temp_tablespaces = 'nowhere'"},
	"names":       {"application_name = 'pgsolo main term 1'", "track_activities = off"},
	"libraries":   {"session_preload_libraries = 'auto_explain'", "auto_explain.log_min_duration = 0"},
	"errors":      {"client_min_messages = 'error'", "exit_on_error = on"},
	"messages": {
		"client_min_messages = 'debug5'", "log_statement = 'all'", "log_min_messages = 'debug5'", "log_duration = on",
		"log_min_duration_statement = 0", "log_error_verbosity = 'verbose'", "debug_print_plan = on",
	},
	"texts": {
		"bytea_output = 'escape'", "DateStyle = 'German, YMD'", "IntervalStyle = 'iso_8601'", "xmloption = 'document'",
		"TimeZone = 'Europe/Lisbon'", "timezone_abbreviations = 'Australia'", "extra_float_digits = -15",
		"client_encoding = 'SQL_ASCII'", "lc_messages = 'C'", "lc_numeric = 'C'", "array_nulls = off",
	},
	"parser": {
		"standard_conforming_strings = off", "escape_string_warning = on", "backslash_quote = 'off'",
		"quote_all_identifiers = on", "transform_null_equals = on", "check_function_bodies = off",
		"plpgsql.extra_errors = 'all'", "plpgsql.variable_conflict = 'error'",
	},
	"planner": {
		"enable_seqscan = off", "enable_indexscan = off", "enable_bitmapscan = off", "enable_indexonlyscan = off",
		"enable_sort = off", "enable_hashjoin = off", "enable_nestloop = off", "enable_mergejoin = off",
		"enable_hashagg = off", "enable_material = off", "enable_tidscan = off", "from_collapse_limit = 1",
		"join_collapse_limit = 1", "geqo_threshold = 2", "constraint_exclusion = on", "cursor_tuple_fraction = 0",
		"plan_cache_mode = 'force_generic_plan'", "jit = on", "jit_above_cost = 0",
	},
	"parallel": {
		"parallel_setup_cost = 0", "parallel_tuple_cost = 0", "min_parallel_table_scan_size = 0",
		"min_parallel_index_scan_size = 0", "max_parallel_workers_per_gather = 4", "{parallel_mode} = regress",
	},
}

// Whatever a role or a database sets, a replica leads.
func TestEachSetting(t *testing.T) {
	grants, admin := runtimeGrants(t), pgtest.Connect(t, pgtest.Database(t))
	role := "set_" + pgtest.Value[string](t, admin, `select left(md5(current_database()), 8)`)
	grants = strings.ReplaceAll(grants, " to app;", " to "+role+";")
	if _, err := admin.Exec(t.Context(), `create role `+role+` login`); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = admin.Exec(context.Background(), `drop owned by `+role+`; drop role `+role) })
	t.Run("each", func(t *testing.T) {
		for name, all := range settings {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				leadWithSettings(t, grants, role, all)
			})
		}
	})
}

func leadWithSettings(t *testing.T, grants, role string, all []string) {
	t.Helper()
	at := pgtest.Database(t)
	owner := pgtest.Connect(t, at)
	const event = `; select pgsolo.know('main', '{t}'); insert into pgsolo.event (topic) values ('t')`
	if _, err := owner.Exec(t.Context(), grants+event); err != nil {
		t.Fatal(err)
	}
	database := pgtest.Value[string](t, owner, `select quote_ident(current_database())`)
	mode := "debug_parallel_query"
	if pgtest.Value[int](t, owner, `select current_setting('server_version_num')::int`) < 160000 {
		mode = "force_parallel_mode"
	}
	for _, setting := range all {
		sql := fmt.Sprintf(`alter role %s in database %s set %s`, role, database,
			strings.ReplaceAll(setting, "{parallel_mode}", mode))
		if _, err := owner.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", sql, err)
		}
	}
	to, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	to.User = url.User(role)
	var log pgtest.Buffer
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	ended := runReplica(t, to.String(), forGrants, &log)
	pgtest.Eventually(t, "a dead letter and a run", func() bool {
		select {
		case err := <-ended:
			t.Fatal(err)
		default:
		}
		return pgtest.Value[bool](t, owner, `select exists (select from pgsolo.dead_letter)
			and exists (select from pgsolo.cron_run where outcome = 'ok')`)
	})
	if n := pgtest.Value[int](t, owner, `select count(*) from pgsolo.leader_term`); n != 1 {
		t.Errorf("%d terms", n)
	}
}
