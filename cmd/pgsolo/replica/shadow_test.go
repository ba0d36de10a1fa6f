package replica

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/admin"
	producers "github.com/pgsolo/pgsolo/jobs/emit"
)

// What a shadow takes in place of an argument of the function or the operator that it stands before: types that
// PostgreSQL prefers, as they are those of the value. Any other type stays as it is.
var preferred = map[string][]string{
	"anyarray": ofArrays, "anycompatiblearray": ofArrays,
	"anyrange": {"int8range"}, "anymultirange": {"int8multirange"},
	"regclass": {"text"}, "regproc": {"text"}, "name": {"text", "name"}, "char": {"text"},
	"int8": {"int8", "int4", "oid"}, "int4": {"int4", "int8"}, "oid": {"oid", "int4"},
	"float8": {"float8", "int4", "int8", "numeric"}, "numeric": {"numeric", "int4", "int8"},
	"text": {"text", "name"}, "bytea": {"bytea", "text"}, "timestamp": {"timestamptz"},
}

var (
	ofValues = []string{"int4", "int8", "text", "jsonb", "timestamptz", "int8multirange", "name", "regclass", "bool"}
	ofArrays = []string{"_text", "_int8", "_timestamptz", "_bytea", "_jsonb"}
)

const (
	trap = `create schema trap; create sequence trap.ran; create role {attacker};
		grant create on schema public to {attacker};
		grant usage on schema trap to public; grant usage on sequence trap.ran to public; set role {attacker};
		set check_function_bodies = off; set client_min_messages = warning;`

	trapped = `begin perform pg_catalog.nextval('trap.ran'::pg_catalog.regclass);
		raise exception 'a shadow ran as % in %', current_user, pg_catalog.current_query(); end`

	// Arguments that have no value are left out, as those of aggregates over anything.
	catalogFunctions = `select p.proname::text, array(select t.typname::text from pg_catalog.unnest(p.proargtypes)
			with ordinality a (type, n) join pg_catalog.pg_type t on t.oid = a.type order by n),
			case when r.typtype = 'p' then '' else 'pg_catalog.' || pg_catalog.quote_ident(r.typname) end,
			p.provariadic <> 0
		from pg_catalog.pg_proc p join pg_catalog.pg_type r on r.oid = p.prorettype
		where p.pronamespace = 'pg_catalog'::pg_catalog.regnamespace and p.proname = any($1)
			and not p.proargtypes::oid[] && array(
				select oid from pg_catalog.pg_type where typtype = 'p' and typname !~ '^any')`
	catalogOperators = `select o.oprname::text, l.typname::text, r.typname::text, e.typname::text
		from pg_catalog.pg_operator o join pg_catalog.pg_type l on l.oid = o.oprleft
			join pg_catalog.pg_type r on r.oid = o.oprright join pg_catalog.pg_type e on e.oid = o.oprresult
		where e.typtype <> 'p' and o.oprnamespace = 'pg_catalog'::pg_catalog.regnamespace
			and l.typname = any($1) and r.typname = any($1)`
)

// shadowed are the types that pgsolo has values of.
var shadowed = []string{
	"int4", "int8", "text", "name", "char", "bool", "jsonb", "bytea", "timestamptz", "interval", "oid", "xid", "xid8",
	"numeric", "float8", "int8multirange", "anymultirange", "anyarray", "anynonarray", "anyelement", "anycompatible",
	"anycompatiblearray", "anyrange", "regclass", "timestamp",
}

// combinations are the lists of types that a shadow takes in place of these.
func combinations(types []string) (all [][]string) {
	all = [][]string{nil}
	for _, kind := range types {
		others := preferred[kind]
		if others == nil && strings.HasPrefix(kind, "any") {
			others = ofValues
		} else if others == nil {
			others = []string{kind}
		}
		var longer [][]string
		for _, begun := range all {
			for _, other := range others {
				longer = append(longer, append(slices.Clone(begun), other))
			}
		}
		if len(longer) > 81 {
			longer = longer[:81]
		}
		all = longer
	}
	return all
}

// namedInSQL are all words before a parenthesis in the sources, the migrations included.
func namedInSQL(t *testing.T) []string {
	t.Helper()
	words, word := map[string]bool{}, regexp.MustCompile(`([a-z_][a-z0-9_]*)\(`)
	err := filepath.WalkDir("../../..", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, ".go") && !strings.HasSuffix(path, ".sql") {
			return err
		}
		text, err := os.ReadFile(path)
		for _, m := range word.FindAllStringSubmatch(string(text), -1) {
			words[m[1]] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return slices.Collect(maps.Keys(words))
}

// castShadows has a role that may only create in the schema public, as each may before PostgreSQL 15, put a shadow
// before every function and every operator that pgsolo names.
func castShadows(t *testing.T, conn *pgx.Conn, attacker string) {
	t.Helper()
	var (
		sql                  strings.Builder
		made                 = map[string]bool{}
		name, result, l, r   string
		args                 []string
		variadic             bool
		functions, operators int
	)
	create := func(name string, args []string, result string) (signature string, isNew bool) {
		signature = fmt.Sprintf(`public.%q(%s)`, name, strings.Join(quoted(args), ", "))
		if made[signature] {
			return signature, false
		}
		made[signature] = true
		if result == "" && len(args) > 0 { // any: that of the first argument
			result = quoted(args[:1])[0]
		} else if result == "" {
			result = "text"
		}
		fmt.Fprintf(&sql, "create function %s returns %s language plpgsql as $$ %s $$;\n", signature, result, trapped)
		return signature, true
	}
	rows, err := conn.Query(t.Context(), catalogFunctions, namedInSQL(t))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.ForEachRow(rows, []any{&name, &args, &result, &variadic}, func() error {
		lists := combinations(args)
		if last := len(args) - 1; variadic && last >= 0 { // one, two and three of them
			for _, one := range slices.Clone(lists) {
				for n := range 3 {
					for _, of := range []string{"text", "int8", "name"} {
						lists = append(lists, append(slices.Clone(one[:last]), slices.Repeat([]string{of}, n+1)...))
					}
				}
			}
		}
		for _, list := range lists {
			if _, isNew := create(name, list, result); isNew {
				functions++
			}
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if rows, err = conn.Query(t.Context(), catalogOperators, shadowed); err != nil {
		t.Fatal(err)
	}
	if _, err := pgx.ForEachRow(rows, []any{&name, &l, &r, &result}, func() error {
		for _, list := range combinations([]string{l, r}) {
			operator := fmt.Sprintf("%s %q", name, list)
			if made[operator] {
				continue
			}
			made[operator] = true
			operators++
			function := "operator_" + strings.Trim(result, `"`)
			create(function, list, `"`+result+`"`)
			fmt.Fprintf(&sql, "create operator public.%s (leftarg = %s, rightarg = %s, function = public.%q);\n",
				name, quoted(list)[0], quoted(list)[1], function)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if _, err := conn.Exec(t.Context(), strings.ReplaceAll(trap, "{attacker}", attacker)+sql.String()+
		`reset all; reset role`); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d functions, %d operators", functions, operators)
	if functions < 500 || operators < 300 {
		t.Error("too few shadows")
	}
}

func quoted(types []string) (all []string) {
	for _, name := range types {
		all = append(all, `pg_catalog."`+name+`"`)
	}
	return all
}

// Of what a role makes that may create in the schema public, nothing ever runs: with the search_path that every
// session has by default, the tables are migrated, replicas lead, producers emit, and operators do what they do.
func TestShadowsNeverRun(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	const attacker = "pgsolo_casts_shadows"
	conn := pgtest.Connect(t, url)
	t.Cleanup(func() { dropRole(t, conn, attacker) })
	castShadows(t, conn, attacker)
	ran := func(what string) {
		t.Helper()
		if pgtest.Value[bool](t, conn, `select is_called from trap.ran`) {
			t.Errorf("%s: a shadow ran", what)
		}
		if _, err := conn.Exec(t.Context(), `alter sequence trap.ran restart`); err != nil {
			t.Fatal(err)
		}
	}
	do := func(what, sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%s: %v", what, err)
		}
		ran(what)
	}
	check := func(what string, err error) {
		t.Helper()
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
		ran(what)
	}

	// A session of an embedder's, with the search_path that it has.
	check("migrate the election", election.Migrate(t.Context(), conn, "shadowed"))
	check("migrate the jobs", jobs.Migrate(t.Context(), conn, "shadowed"))
	check("migrate by the program", Migrate(t.Context(), url, "shadowed"))
	check("check the election", election.CheckSchema(t.Context(), conn, "shadowed"))
	check("check the jobs", jobs.CheckSchema(t.Context(), conn, "shadowed"))
	check("check the log", jobs.CheckLog(t.Context(), conn, "shadowed"))

	setup(t, url, `
		postgres {
			url    = env("DATABASE_URL")
			schema = "shadowed"
		}
		http { listen = "127.0.0.1:0" }
		topic "t" {}
		handler "h" {
			topic = "t"
			retry { attempts = 1 }
			exec { command = ["false"] }
		}
		handler "s" {
			topic = "t"
			sql { statement = "create temporary table if not exists cursor (handler int, done int, term int)" }
		}
		cron "c" {
			schedule = "@yearly"
			exec { command = ["true"] }
		}`)
	pgtest.Eventually(t, "a leader", func() bool {
		return pgtest.Value[int](t, conn, `select count(*)::int from shadowed.cron_job`) > 0 &&
			pgtest.Value[int](t, conn, `select count(*)::int from shadowed.topic where topic = 't'`) > 0
	})
	ran("lead")
	do("emit", `select shadowed.emit('t', '{}', 'k', '{"a": "b"}', dedup_key => 'd')`)
	do("insert", `insert into shadowed.event (topic, payload, headers) values ('t', '{"n": 1}', '{}')`)
	producer := producers.Producer{Schema: "shadowed"}
	_, err := producer.Emit(t.Context(), conn, producers.Event{Topic: "t", Key: "k", DedupKey: "e"})
	check("Emit", err)
	check("EmitAll", producer.EmitAll(t.Context(), conn, []producers.Event{{Topic: "t"}, {Topic: "t", Key: "k"}}))
	_, err = conn.Exec(t.Context(), `insert into shadowed.event (topic) values ('other')`)
	if err == nil || !strings.Contains(err.Error(), `topic "other" is not known`) {
		t.Errorf("an event of an unknown topic: %v", err)
	}
	ran("insert an event of an unknown topic")
	pgtest.Eventually(t, "dead letters", func() bool {
		return pgtest.Value[int](t, conn, `select count(*)::int from shadowed.dead_letter`) == 5
	})
	pgtest.Eventually(t, "the sql handler", func() bool {
		return pgtest.Value[bool](t, conn, `select unfinished = 0 from shadowed.handler where handler = 's'`)
	})
	ran("handle")
	_, err = admin.DeadLetters{Schema: "shadowed"}.List(t.Context(), conn,
		admin.DeadLetterFilter{ErrorContains: "e"}, admin.DeadLetterPage{})
	check("list dead letters", err)
	do("trigger", `select shadowed.trigger_job('c')`)
	do("pause", `select shadowed.pause_job('c'), shadowed.resume_job('c')`)
	do("replay", `select shadowed.replay('h', 1)`)
	do("replay by text", `select shadowed.replay('h', error_like => '%')`)
	do("arm", `select shadowed.arm('other', true, 1), shadowed.arm('other', false, 1)`)
	do("ring", `select shadowed.ring_for_retry(1), shadowed.tell_cron(), shadowed.check_job('c')`)
	do("check", `select shadowed.check_filter(1, false)`)
	for _, view := range []string{"handler", "dead_letter", "job", "held_back", "leadership", "replica"} {
		do("read "+view, `select * from shadowed.`+view)
		do("read "+view+" by a role with another path", `set search_path = public, pg_catalog;
			select * from shadowed.`+view+`; reset search_path`)
	}
	do("emit with another path", `set search_path = public, pg_catalog;
		select shadowed.emit('t'); insert into shadowed.event (topic) values ('t'); reset search_path`)
	do("step down", `select shadowed.step_down('main')`)

	// What an earlier version has bound for good.
	do("bind", `alter table shadowed.event alter id
			set default public."nextval"('shadowed.event_id_seq'::text);
		alter function shadowed.emit reset search_path;
		create or replace view shadowed.dead_letter with (security_barrier) as
			select handler, event_id, topic, key, payload, headers, created_at, attempt as attempts,
				coalesce(error, public."format"(error)) as error, failed_at
			from shadowed.delivery where state = 'dead'`)
	reader := pgtest.Connect(t, url)
	if _, err := reader.Exec(t.Context(), `begin; lock table shadowed.event in access share mode`); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	logger := hclog.New(&hclog.LoggerOptions{Output: io.Discard, Level: hclog.Warn, Exclude: func(_ hclog.Level,
		message string, _ ...any) bool {
		if strings.HasPrefix(message, "other sessions have locks") {
			cancel()
		}
		return false
	}})
	err = jobs.Migrate(hclog.WithContext(ctx, logger), conn, "shadowed")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("migrate beside a lock: %v", err)
	}
	ran("migrate beside a lock")
	if _, err := reader.Exec(t.Context(), `rollback`); err != nil {
		t.Fatal(err)
	}
	check("migrate again", jobs.Migrate(t.Context(), conn, "shadowed"))
	do("emit", `select shadowed.emit('t')`)
	do("insert", `insert into shadowed.event (topic) values ('t')`)
	if used := pgtest.Value[string](t, conn, selectBound); used != "" {
		t.Errorf("bound to %s", used)
	}
}

// selectBound lists the functions and operators of other schemas that something in the schema uses.
const selectBound = `select coalesce(string_agg(pg_describe_object(d.classid, d.objid, 0) || ' to '
		|| pg_describe_object(d.refclassid, d.refobjid, 0), ', '), '')
	from pg_depend d
		left join pg_proc p on d.refclassid = 'pg_proc'::regclass and p.oid = d.refobjid
		left join pg_operator o on d.refclassid = 'pg_operator'::regclass and o.oid = d.refobjid
	where coalesce(p.pronamespace, o.oprnamespace) = 'public'::regnamespace
		and d.classid not in ('pg_operator'::regclass, 'pg_proc'::regclass)`

func dropRole(t *testing.T, conn *pgx.Conn, role string) {
	t.Helper()
	sql := `reset search_path; set client_min_messages = warning;
		drop owned by ` + role + ` cascade; drop role ` + role
	if _, err := conn.Exec(context.Background(), sql); err != nil {
		t.Error(err)
	}
}
