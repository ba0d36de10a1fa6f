package replica

import (
	"context"
	"errors"
	"net/url"
	"os"
	"strings"
	"testing"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// rolesSQL is deploy/sql/roles.sql, whose roles begin with prefix, since those of a server are of all its databases.
func rolesSQL(t *testing.T, prefix string) string {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/sql/roles.sql")
	if err != nil {
		t.Fatal(err)
	}
	return strings.ReplaceAll(string(text), "pgsolo_", prefix)
}

// The roles of deploy/sql/roles.sql do what they are for: a replica leads under that of the runtime, a producer's event
// is handled, an operator operates and a reader reads. What is not theirs the server refuses.
func TestRoles(t *testing.T) {
	t.Parallel()
	at := pgtest.Database(t)
	admin := pgtest.Connect(t, at)
	prefix := "r" + pgtest.Value[string](t, admin, `select left(md5(current_database()), 8)`) + "_"
	kinds := []string{"runtime", "operator", "producer", "reader"}
	t.Cleanup(func() {
		for _, kind := range kinds {
			for _, role := range []string{prefix + kind, prefix + kind + "_member"} {
				if _, err := admin.Exec(context.Background(), `drop owned by `+role+`; drop role `+role); err != nil {
					t.Error(err)
				}
			}
		}
	})
	for range 2 { // it may be run again
		if _, err := admin.Exec(t.Context(), rolesSQL(t, prefix)); err != nil {
			t.Fatal(err)
		}
	}
	as := map[string]*pgx.Conn{}
	urls := map[string]string{}
	for _, kind := range kinds {
		member := prefix + kind + "_member"
		jobstest.MustExec(t, admin, `create role `+member+` login in role `+prefix+kind)
		to, err := url.Parse(at)
		if err != nil {
			t.Fatal(err)
		}
		to.User = url.User(member)
		urls[kind] = to.String()
		as[kind] = pgtest.Connect(t, urls[kind])
	}

	setup(t, urls["runtime"], strings.Replace(forGrants, "* * * * * *", "@yearly", 1))
	pgtest.Eventually(t, "the topic", func() bool {
		return pgtest.Value[bool](t, admin, `select exists (select from pgsolo.topic where topic = 't')
			and exists (select from pgsolo.job where job = 'tick')`)
	})
	for _, allowed := range []struct{ kind, sql string }{
		{"producer", `select pgsolo.emit('t', '{}', key => 'k', headers => '{"a": "b"}', dedup_key => 'd')`},
		{"operator", `select pgsolo.trigger_job('tick')`},
		{"operator", `select pgsolo.pause_job('tick')`},
		{"operator", `select pgsolo.resume_job('tick')`},
	} {
		if _, err := as[allowed.kind].Exec(t.Context(), allowed.sql); err != nil {
			t.Errorf("%s: %s: %v", allowed.kind, allowed.sql, err)
		}
	}
	for _, kind := range []string{"operator", "reader"} {
		pgtest.Eventually(t, "what "+kind+" sees of a dead letter and a run", func() bool {
			return pgtest.Value[bool](t, as[kind], `select exists (select from pgsolo.dead_letter)
				and exists (select from pgsolo.cron_run) and exists (select from pgsolo.leadership)
				and exists (select from pgsolo.replica) and exists (select from pgsolo.handler)
				and exists (select from pgsolo.job) and (select count(*) >= 0 from pgsolo.held_back)`)
		})
	}
	jobstest.MustExec(t, as["operator"], `select pgsolo.replay('h')`)
	jobstest.MustExec(t, as["operator"], `select pgsolo.step_down('main')`)

	for _, denied := range []struct {
		kinds string
		sql   []string
	}{
		{"runtime operator producer reader", []string{
			`create table pgsolo.mine ()`, `create function pgsolo.mine() returns int language sql as 'select 1'`,
			`drop table pgsolo.event`, `alter table pgsolo.event disable trigger all`, `truncate pgsolo.cron_run`,
			`alter function pgsolo.ring() set search_path = public`, `comment on table pgsolo.event is 'mine'`,
			`do 'begin lock table pgsolo.topic; end'`,
			`insert into pgsolo.event (topic) values ('t')`, `update pgsolo.event set payload = '{}'`,
			`insert into pgsolo.topic ("group", topic) values ('x', 'x')`, `select setval('pgsolo.event_id_seq', 1)`,
			`insert into pgsolo.jobs_migration values ('x', 'x')`, `select pgsolo.tell_cron()`,
			`select pgsolo.renew_identity()`, `select pgsolo.refresh_topics()`,
			`create trigger mine before insert on pgsolo.event for each row execute function pgsolo.ring()`,
			`create policy mine on pgsolo.event`, `create index on pgsolo.event (topic)`,
		}},
		{"runtime operator reader", []string{`select pgsolo.emit('t', '{}')`}},
		{"runtime producer reader", []string{
			`select pgsolo.trigger_job('tick')`, `select pgsolo.pause_job('tick')`, `select pgsolo.step_down('main')`,
			`select pgsolo.replay('h')`, `select pgsolo.discard('h')`, `select pgsolo.forget_handler('h')`,
			`select pgsolo.rename_handler('h', 'i')`,
		}},
		{"operator producer reader", []string{
			`select from pgsolo.event`, `delete from pgsolo.event`, `delete from pgsolo.delivery`,
			`select from pgsolo.delivery`, `update pgsolo.cursor set term = 9`, `update pgsolo.leader set term = 9`,
			`delete from pgsolo.leader_term`, `delete from pgsolo.cron_run`,
			`update pgsolo.cron_job set enabled = false`,
			`select from pgsolo.configuration`, `select from pgsolo.dedup`, `select nextval('pgsolo.event_id_seq')`,
			`select pgsolo.know('main', '{t}')`, `select pgsolo.attend('main', 1, 1)`,
			`select pgsolo.declare_configuration('main', 1, 1, 'events', 'x', '{}')`,
		}},
		{"producer", []string{
			`select from pgsolo.dead_letter`, `select from pgsolo.job`, `select from pgsolo.cron_run`,
			`select from pgsolo.replica`, `select from pgsolo.handler`, `select from pgsolo.leadership`,
		}},
	} {
		for _, kind := range strings.Fields(denied.kinds) {
			for _, sql := range denied.sql {
				_, err := as[kind].Exec(t.Context(), sql)
				refused, ok := errors.AsType[*pgconn.PgError](err)
				if !ok || refused.Code != "42501" {
					t.Errorf("%s: %s: %v, want a refusal", kind, sql, err)
				}
			}
		}
	}
}
