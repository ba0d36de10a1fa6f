package eventlog

import (
	"strings"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// What the server answers ends no leader, whatever somebody has done to the tables: it is said, and tried again until
// it works.
func TestAnswersEndNoLeader(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct{ breaks, mends, said string }{
		"trigger": {
			`create function audit() returns trigger language plpgsql as $$
				begin insert into missing select new.*; return new; end $$;
				create trigger audit before update on pgsolo.cursor for each row execute function audit()`,
			`drop trigger audit on pgsolo.cursor`, "missing"},
		"constraint": {
			`alter table pgsolo.delivery add constraint short check (error <> 'no') not valid`,
			`alter table pgsolo.delivery drop constraint short`, "short"},
		"event trigger": {
			`create function forbid() returns event_trigger language plpgsql as $$
				begin raise 'no changes on Fridays' using errcode = 'insufficient_privilege'; end $$;
				create event trigger forbid on ddl_command_start when tag in ('CREATE FUNCTION')
				execute function forbid()`,
			`drop event trigger forbid`, "Fridays"},
	} {
		t.Run(name, func(t *testing.T) {
			pool := jobstest.Pool(t)
			execute(t, pool, test.breaks)
			var logged pgtest.Buffer
			l := leadWith(t, 1, Options{Pool: pool, Topics: []Topic{{Name: "other"}},
				Handlers:  []Handler{{Name: "h", Topic: "t", Handle: refuse}},
				Subscribe: jobstest.Listen(t, pool),
				Logger:    hclog.New(&hclog.LoggerOptions{Output: &logged})})
			jobstest.Emit(t, pool, "t", `1`)
			pgtest.Eventually(t, "the answer in the log", func() bool {
				return strings.Contains(logged.String(), "the database refused, trying again") &&
					strings.Contains(logged.String(), test.said)
			})
			execute(t, pool, test.mends)
			pgtest.Eventually(t, "the event to have failed, and its topic to be known", func() bool {
				return deliveries(t, pool, "retry") == 1 && pgtest.Value[bool](t, pool,
					`select pgsolo.known_topics() is not distinct from '{other,t}'`)
			})
			if len(l.ended) > 0 {
				t.Errorf("the leader has ended: %v", <-l.ended)
			}
		})
	}
}
