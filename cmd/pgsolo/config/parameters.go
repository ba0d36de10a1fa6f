package config

import (
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
)

// checkParameter says what is wrong with a parameter of a connection URL. What is no setting of the connection goes to
// the server when a session starts, and the server ends the session if it does not know it. A name is repeated only if
// it is known in another spelling: it may be a part of a password.
func checkParameter(name string) string {
	lower := strings.ToLower(name)
	if slices.Contains(connectionSettings, name) || slices.Contains(serverSettings, lower) ||
		strings.Contains(name, ".") { // a setting of an extension
		return ""
	}
	for _, known := range slices.Sorted(maps.Keys(foreignParameters)) {
		if spelling(known) == spelling(name) {
			return fmt.Sprintf("The connection URL has the parameter %s, which PostgreSQL does not know: %s.", name,
				foreignParameters[known])
		}
	}
	settings := slices.Concat(connectionSettings, serverSettings)
	for _, known := range settings {
		if spelling(known) == spelling(name) {
			return fmt.Sprintf("The connection URL has the parameter %s, which PostgreSQL does not know: write %s.",
				name, known)
		}
	}
	if meant := block.Nearest(lower, settings); meant != "" {
		return fmt.Sprintf("The connection URL has a parameter that PostgreSQL does not know. Did you mean %s?", meant)
	}
	return "The connection URL has a parameter that PostgreSQL does not know. Remove it; if a later version of the " +
		"server has that setting, write options=-c%20name%3Dvalue."
}

// spelling is a name as it is in any spelling.
func spelling(name string) string {
	return strings.ToLower(strings.NewReplacer("_", "", "-", "").Replace(name))
}

// connectionSettings are those that the client takes, in this spelling alone.
var connectionSettings = strings.Fields("host port database dbname user password passfile connect_timeout sslmode " +
	"sslkey sslcert sslcertmode sslrootcert sslnegotiation sslpassword sslsni krbspn krbsrvname " +
	"target_session_attrs service servicefile min_protocol_version max_protocol_version channel_binding " +
	"require_auth options")

// serverSettings are those that a session of PostgreSQL 14 to 18 may start with, from its pg_settings.
var serverSettings = strings.Fields(`
allow_in_place_tablespaces allow_system_table_mods application_name array_nulls backend_flush_after
backslash_quote backtrace_functions bytea_output check_function_bodies client_connection_check_interval
client_encoding client_min_messages commit_delay commit_siblings compute_query_id constraint_exclusion
cpu_index_tuple_cost cpu_operator_cost cpu_tuple_cost createrole_self_grant cursor_tuple_fraction datestyle
deadlock_timeout debug_discard_caches debug_logical_replication_streaming debug_parallel_query debug_pretty_print
debug_print_parse debug_print_plan debug_print_rewritten default_statistics_target default_table_access_method
default_tablespace default_text_search_config default_toast_compression default_transaction_deferrable
default_transaction_isolation default_transaction_read_only dynamic_library_path effective_cache_size
effective_io_concurrency enable_async_append enable_bitmapscan enable_distinct_reordering enable_gathermerge
enable_group_by_reordering enable_hashagg enable_hashjoin enable_incremental_sort enable_indexonlyscan
enable_indexscan enable_material enable_memoize enable_mergejoin enable_nestloop enable_parallel_append
enable_parallel_hash enable_partition_pruning enable_partitionwise_aggregate enable_partitionwise_join
enable_presorted_aggregate enable_self_join_elimination enable_seqscan enable_sort enable_tidscan
escape_string_warning event_triggers exit_on_error extension_control_path extension_destdir extra_float_digits
file_copy_method force_parallel_mode from_collapse_limit geqo geqo_effort geqo_generations geqo_pool_size
geqo_seed geqo_selection_bias geqo_threshold gin_fuzzy_search_limit gin_pending_list_limit hash_mem_multiplier
icu_validation_level idle_in_transaction_session_timeout idle_session_timeout ignore_checksum_failure
ignore_system_indexes intervalstyle io_combine_limit jit jit_above_cost jit_debugging_support jit_dump_bitcode
jit_expressions jit_inline_above_cost jit_optimize_above_cost jit_profiling_support jit_tuple_deforming
join_collapse_limit lc_messages lc_monetary lc_numeric lc_time lo_compat_privileges local_preload_libraries
lock_timeout log_connections log_disconnections log_duration log_error_verbosity log_executor_stats
log_lock_failures log_lock_waits log_min_duration_sample log_min_duration_statement log_min_error_statement
log_min_messages log_parameter_max_length log_parameter_max_length_on_error log_parser_stats log_planner_stats
log_replication_commands log_statement log_statement_sample_rate log_statement_stats log_temp_files
log_transaction_sample_rate logical_decoding_work_mem maintenance_io_concurrency maintenance_work_mem
max_parallel_maintenance_workers max_parallel_workers max_parallel_workers_per_gather max_stack_depth
md5_password_warnings min_parallel_index_scan_size min_parallel_table_scan_size parallel_leader_participation
parallel_setup_cost parallel_tuple_cost password_encryption plan_cache_mode post_auth_delay quote_all_identifiers
random_page_cost recursive_worktable_factor restrict_nonsystem_relation_kind role row_security scram_iterations
search_path seed seq_page_cost session_authorization session_preload_libraries session_replication_role
standard_conforming_strings statement_timeout stats_fetch_consistency synchronize_seqscans synchronous_commit
tcp_keepalives_count tcp_keepalives_idle tcp_keepalives_interval tcp_user_timeout temp_buffers temp_file_limit
temp_tablespaces timezone timezone_abbreviations trace_notify trace_sort track_activities track_cost_delay_timing
track_counts track_functions track_io_timing track_wal_io_timing transaction_deferrable transaction_isolation
transaction_read_only transaction_timeout transform_null_equals update_process_title vacuum_buffer_usage_limit
vacuum_cost_delay vacuum_cost_limit vacuum_cost_page_dirty vacuum_cost_page_hit vacuum_cost_page_miss
vacuum_failsafe_age vacuum_freeze_min_age vacuum_freeze_table_age vacuum_max_eager_freeze_failure_rate
vacuum_multixact_failsafe_age vacuum_multixact_freeze_min_age vacuum_multixact_freeze_table_age vacuum_truncate
wal_compression wal_consistency_checking wal_init_zero wal_recycle wal_sender_timeout wal_skip_threshold work_mem
xmlbinary xmloption zero_damaged_pages`)

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
