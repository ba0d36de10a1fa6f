package replica

import (
	"context"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

const forGrants = `
	postgres { url = env("DATABASE_URL") }
	http { listen = "127.0.0.1:0" }
	election "main" {
		lease = "30s"
		drain = "0s"
	}
	topic "t" {}
	handler "h" {
		topic = "t"
		retry {
			attempts = 2
			backoff = "1ms"
		}
		exec { command = ["false"] }
	}
	cron "tick" {
		schedule = "* * * * * *"
		exec { command = ["true"] }
	}`

// runtimeGrants are what deploy/sql/roles.sql has a role that leads without owning the tables granted.
func runtimeGrants(t *testing.T) string {
	t.Helper()
	text, err := os.ReadFile("../../../deploy/sql/roles.sql")
	if err != nil {
		t.Fatal(err)
	}
	grants := regexp.MustCompile(`(?ms)^grant [^;]* to (?:[^;]* )?pgsolo_runtime\b[^;]*;\n`).
		FindAllString(string(text), -1)
	return regexp.MustCompile(` to pgsolo_runtime[^;]*;`).ReplaceAllString(strings.Join(grants, ""), " to app;")
}

// grantedTo are the privileges of a role on what is in the schema, one by one.
const grantedTo = `
	select format('%s on %s%s', lower(a.privilege_type), case c.relkind when 'S' then 'sequence ' else '' end,
		c.oid::regclass)
	from pg_class c, aclexplode(c.relacl) a
	where c.relnamespace = 'pgsolo'::regnamespace and a.grantee = $1::regrole and c.relkind <> 'v'
	union all
	select format('execute on function pgsolo.%s', p.proname)
	from pg_proc p, aclexplode(p.proacl) a
	where p.pronamespace = 'pgsolo'::regnamespace and a.grantee = $1::regrole
	order by 1`

var (
	// withoutNotice are privileges that a new leader does not use, or can do without unnoticed: they matter where there
	// are commands, old rows, another group or another leader.
	withoutNotice = regexp.MustCompile(`^(delete on pgsolo.(event|dedup|cron_run|cron_decision|leader_term)|` +
		`update on pgsolo.(dedup|cron_decision)|` +
		`select on pgsolo.(configuration|dedup|jobs_group|topic|undeclared|\w*_topic|log)|` +
		`execute on function pgsolo.(count_led|leave|left_topics|declared_events|check_log|note_checked))$`)

	// optional are those without which the leader does all of its work.
	optional = regexp.MustCompile(`doorbell|replica_session|handler_term|handler_cut_off|event_id_seq|` +
		`delete on pgsolo.leader_term|execute on function`)

	grantNamed = regexp.MustCompile(`grant [a-z, ]+ on (function |sequence )?[\w.]+ to \w+`)
)

// Each privilege of a role that leads without owning the tables is revoked alone. Then the replica leads and does its
// work, or stands by, or ends, and nothing is said to be lacking but that. PGSOLO_TEST_ALL has all of them revoked, and
// not one of each eight.
func TestEachPrivilegeThatIsLacking(t *testing.T) {
	grants := runtimeGrants(t)
	admin := pgtest.Connect(t, pgtest.Database(t))
	role := "lead_" + pgtest.Value[string](t, admin, `select left(md5(current_database()), 8)`)
	grants = strings.ReplaceAll(grants, " to app;", " to "+role+";")
	t.Cleanup(func() { _, _ = admin.Exec(context.Background(), `drop owned by `+role+`; drop role `+role) })
	if _, err := admin.Exec(t.Context(), `create role `+role+` login; `+grants); err != nil {
		t.Fatal(err)
	}
	rows, err := admin.Query(t.Context(), grantedTo, role)
	if err != nil {
		t.Fatal(err)
	}
	privileges, err := pgx.CollectRows(rows, pgx.RowTo[string])
	if err != nil || len(privileges) < 60 {
		t.Fatalf("%d privileges, %v", len(privileges), err)
	}
	t.Run("each", func(t *testing.T) {
		for i, privilege := range privileges {
			if i%8 != 0 && os.Getenv("PGSOLO_TEST_ALL") == "" {
				continue
			}
			t.Run(privilege, func(t *testing.T) {
				t.Parallel()
				leadWithout(t, grants, role, privilege)
			})
		}
	})
}

func leadWithout(t *testing.T, grants, role, privilege string) {
	t.Helper()
	at := pgtest.Database(t)
	owner := pgtest.Connect(t, at)
	const event = `; select pgsolo.know('main', '{t}'); insert into pgsolo.event (topic) values ('t')`
	if _, err := owner.Exec(t.Context(), grants+`revoke `+privilege+` from `+role+event); err != nil {
		t.Fatal(err)
	}
	to, err := url.Parse(at)
	if err != nil {
		t.Fatal(err)
	}
	to.User = url.User(role)
	var (
		log    pgtest.Buffer
		wanted = "grant " + privilege + " to " + role
		began  = time.Now()
	)
	ended := runReplica(t, to.String(), forGrants, &log)
	named := func() bool {
		select {
		case err := <-ended:
			log.Write([]byte(err.Error()))
		default:
		}
		return strings.Contains(log.String(), wanted)
	}
	works := func() bool {
		return pgtest.Value[bool](t, owner, `select exists (select from pgsolo.dead_letter)
			and exists (select from pgsolo.cron_leader)`)
	}
	defer func() {
		if t.Failed() {
			t.Log(log.String())
		}
	}()
	pgtest.Eventually(t, "work, or what to grant", func() bool {
		switch {
		case withoutNotice.MatchString(privilege):
			return works()
		case optional.MatchString(privilege):
			return named() && works()
		}
		return named()
	})
	t.Logf("%s: after %s, named %t, works %t", privilege, time.Since(began).Round(time.Millisecond), named(), works())
	for _, grant := range grantNamed.FindAllString(log.String(), -1) {
		if grant != wanted {
			t.Errorf("%q is said to be lacking, rather than %q:\n%s", grant, wanted, &log)
			break
		}
	}
	if n := pgtest.Value[int](t, owner, `select count(*) from pgsolo.leader_term`); n > 1 {
		t.Errorf("%d terms", n)
	}
}
