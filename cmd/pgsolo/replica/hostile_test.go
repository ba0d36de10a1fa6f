package replica

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// hostile is what a role may set, in a form that ends sessions, refuses writes or changes what statements mean.
var hostile = map[string]string{
	"search_path":    "app, shadow, pg_catalog",
	"row_security":   "on",
	"jit":            "on",
	"jit_above_cost": "0",

	"statement_timeout":                   "3s", // the user's, too
	"lock_timeout":                        "700ms",
	"idle_session_timeout":                "200ms",
	"idle_in_transaction_session_timeout": "1ms",
	"transaction_timeout":                 "300ms", // 17 and newer
	"exit_on_error":                       "on",

	"default_transaction_read_only":  "on",
	"default_transaction_isolation":  "serializable",
	"default_transaction_deferrable": "on",

	"client_encoding":             "LATIN1",
	"standard_conforming_strings": "off",
	"backslash_quote":             "off",
	"escape_string_warning":       "on",
	"DateStyle":                   "SQL, DMY",
	"IntervalStyle":               "sql_standard",
	"TimeZone":                    "Pacific/Chatham",
	"extra_float_digits":          "-15",
	"bytea_output":                "escape",
	"xmloption":                   "document",
	"quote_all_identifiers":       "on",
	"transform_null_equals":       "on",
	"array_nulls":                 "off",
	"client_min_messages":         "debug1",
	"plan_cache_mode":             "force_custom_plan",
	"synchronous_commit":          "off",
	"plpgsql.extra_errors":        "all",
}

// shadows are what pgsolo's statements name unqualified, as somebody else may have it, too.
const shadows = `
	create schema shadow;
	create table shadow.pg_settings (name text, setting text);
	create table shadow.pg_locks (pid int);
	create table shadow.pg_stat_activity (pid int);
	create table shadow.pg_stat_bgwriter (stats_reset timestamptz);
	create table shadow.pg_class (oid oid);
	create table shadow.pg_namespace (oid oid);
	create table shadow.pg_database (oid oid);
	create table shadow.pg_sequence (seqrelid oid);
	create function shadow.trap() returns text language plpgsql as
		$$ begin raise exception 'a function of another schema'; end $$;
	create function shadow.pg_backend_pid() returns int language sql as 'select 1';
	create function shadow.pg_postmaster_start_time() returns timestamptz language sql as
		$$select timestamptz '-infinity'$$;
	create function shadow.pg_advisory_xact_lock(int) returns text language sql as 'select shadow.trap()';
	create function shadow.hashtext(text) returns int language sql as 'select length(shadow.trap())';
	create function shadow.json_each_text(text, out key text, out value text) language sql as
		'select shadow.trap(), null';
	create function shadow.set_config(text, text, boolean) returns text language sql as 'select shadow.trap()';
	create function shadow.current_setting(text) returns text language sql as 'select shadow.trap()';
	create function shadow.nextval(text) returns bigint language sql as 'select length(shadow.trap())';
	create function shadow.pg_notify(text, text) returns void language sql as 'select shadow.trap()';
	create function shadow.now() returns timestamptz language sql as 'select shadow.trap()::timestamptz';
	create function shadow.clock_timestamp() returns timestamptz language sql as 'select shadow.trap()::timestamptz';
	create function shadow.pg_current_xact_id() returns xid8 language sql as 'select shadow.trap()::xid8';
	create function shadow.pg_current_snapshot() returns pg_snapshot language sql as
		'select shadow.trap()::pg_snapshot';
	create function shadow.never(text, text) returns boolean language sql as 'select shadow.trap() is null';
	create operator shadow.= (leftarg = text, rightarg = text, function = shadow.never);
	create function shadow.never(bigint, bigint) returns boolean language sql as 'select shadow.trap() is null';
	create operator shadow.= (leftarg = bigint, rightarg = bigint, function = shadow.never);
	create operator shadow.> (leftarg = bigint, rightarg = bigint, function = shadow.never);
	create function shadow.plus(int8multirange, int8multirange) returns int8multirange language sql as
		'select shadow.trap()::int8multirange';
	create operator shadow.+ (leftarg = int8multirange, rightarg = int8multirange, function = shadow.plus);`

// Whatever a role sets, the schema is migrated, and a replica leads, listens, handles events and fires ticks.
// Statements of the user have what is the role's own, a trigger that fires at the commit included.
func TestHostileSettings(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := connect(t, url, shadows+`
		create schema app;
		create table app.effect (what text, id text, settings text[]);
		create table app.deferred (id text);
		create function app.later() returns trigger language plpgsql as
			$$ begin insert into deferred values (new.id); return null; end $$;
		create constraint trigger later after insert on app.effect initially deferred
			for each row when (new.what = 'event') execute function app.later()`)
	set(t, conn)
	if err := Migrate(t.Context(), url, "hostile"); err != nil {
		t.Fatal(err)
	}
	const settings = `array(select pg_catalog.current_setting(s) from unnest(array['search_path', 'row_security', 'jit',
		'statement_timeout', 'lock_timeout', 'idle_session_timeout', 'idle_in_transaction_session_timeout',
		'default_transaction_read_only', 'transaction_isolation']) s)`
	own := strings.Join(strings.Fields(settings), " ")
	var log pgtest.Buffer
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	runReplica(t, url, strings.ReplaceAll(forStatements, "max_sessions", `schema = "hostile"
		max_sessions`)+`
		topic "t" {}
		handler "event" {
			topic = "t"
			sql {
				statement = "insert into effect select 'event', $1, `+own+`"
				args      = [event.payload.text]
			}
		}
		handler "message" {
			channel = "message"
			sql {
				statement = "insert into effect select 'message', $1, `+own+`"
				args      = [event.payload]
			}
		}
		handler "other" {
			topic = "t"
			retry {
				attempts = 1
			}
			exec { command = ["false"] }
		}
		cron "tick" {
			schedule = "* * * * * *"
			sql {
				statement = "insert into effect select 'tick', 'ünïcödé 🐘', `+own+`"
			}
		}`, &log)
	pgtest.Eventually(t, "the leader", func() bool {
		return pgtest.Value[bool](t, conn, `select exists (select from app.effect where what = 'tick')`)
	})
	const text = `ünïcödé 🐘 \ '`
	const n = 5
	for range n {
		if _, err := conn.Exec(t.Context(), `select hostile.emit('t', jsonb_build_object('text', $1::text)),
			pg_notify('message', $1)`, text); err != nil {
			t.Fatal(err)
		}
	}
	pgtest.Eventually(t, "events and messages", func() bool {
		return pgtest.Value[bool](t, conn, `select count(*) filter (where what = 'event') = $1
			and count(*) filter (where what = 'message') = $1
			and (select count(*) from app.deferred) = $1
			and (select count(*) from hostile.dead_letter) = $1 from app.effect`, n)
	})
	if n := pgtest.Value[int](t, conn, `select count(*) from app.effect where id <> $1 and what <> 'tick'
		or what = 'tick' and id <> 'ünïcödé 🐘'`, text); n != 0 {
		t.Errorf("%d texts have changed", n)
	}
	want := "{" + `"app, shadow, pg_catalog",on,on,3s,700ms,0,0,off,"read committed"` + "}"
	for _, what := range []string{"event", "message", "tick"} {
		got := pgtest.Value[string](t, conn, `select string_agg(distinct settings::text, ' ') from app.effect
			where what = $1`, what)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("settings of the statement of a %s: -want +got\n%s", what, diff)
		}
	}
	if n := pgtest.Value[int](t, conn, `select count(*) from hostile.leader_term`); n != 1 {
		t.Errorf("%d terms", n)
	}
}

// set has the role have them in this database.
func set(t *testing.T, conn *pgx.Conn) {
	t.Helper()
	role := pgtest.Value[string](t, conn, `select quote_ident(current_user)`)
	database := pgtest.Value[string](t, conn, `select quote_ident(current_database())`)
	version := pgtest.Value[int](t, conn, `select current_setting('server_version_num')::int`)
	for name, value := range hostile {
		if name == "transaction_timeout" && version < 170000 {
			continue
		}
		if name != "search_path" {
			value = "'" + value + "'"
		}
		if _, err := conn.Exec(t.Context(),
			fmt.Sprintf(`alter role %s in database %s set %s = %s`, role, database, name, value)); err != nil {
			t.Fatal(err)
		}
	}
}
