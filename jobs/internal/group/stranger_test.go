package group_test

import (
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// A role that may do nothing but log in can take the lock of a group. Held in shared mode it says nothing, so that
// names of a group that is gone are free; held for itself alone it is named, with the remedy.
func TestStrangerWithTheLockOfAGroup(t *testing.T) {
	for mode, want := range map[string]string{"_shared": "", "": "remedy: select pg_terminate_backend("} {
		t.Run("pg_advisory_lock"+mode, func(t *testing.T) {
			t.Parallel()
			g := setup(t, time.Hour)
			g.leads("a", nil)
			role := "stranger_" + pgtest.Value[string](t, g.pool, `select left(md5(current_database()), 8)`)
			jobstest.MustExec(t, g.pool, `create role `+role+` login`)
			config := g.pool.Config().ConnConfig
			config.User = role
			foreign, err := pgx.ConnectConfig(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() {
				foreign.Close(context.Background())
				_, _ = g.pool.Exec(context.Background(), `drop role `+role)
			})
			lock := fmt.Sprintf(`select pg_advisory_lock%s(%d, %d)`, mode,
				pgtest.Value[int](t, g.pool, `select 'pgsolo.jobs_group'::regclass::oid::int`),
				pgtest.Value[int](t, g.pool, `select id from pgsolo.jobs_group where "group" = 'main'`))
			if _, err := foreign.Exec(t.Context(), lock); err != nil {
				t.Fatal(err)
			}
			if pgtest.Value[bool](t, g.pool, `select pgsolo.is_led('main')`) {
				t.Error("the stranger passes for a leader")
			}
			var log pgtest.Buffer
			defer g.Attend(t.Context(), g.term+1, hclog.New(&hclog.LoggerOptions{Output: &log}))(true)
			pgtest.Eventually(t, "the leader, or the stranger to be named", func() bool {
				return want == "" && pgtest.Value[bool](t, g.pool, `select pgsolo.is_led('main')`) ||
					want != "" && strings.Contains(log.String(), want) && strings.Contains(log.String(), role)
			})
		})
	}
}
