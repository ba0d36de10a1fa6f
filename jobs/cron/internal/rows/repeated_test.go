package rows

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// What an operator has done since a claim, a start or an outcome was written, whose answer was lost, stays when that is
// written again. A start or an end that is written twice has the later one of the two moments.
func TestRepeatedWriteUndoesNothing(t *testing.T) {
	const dump = `select string_agg(row::text, E'\n' order by row::text) from (
		select to_jsonb(j) as row from pgsolo.cron_job j union all
		select to_jsonb(r) - 'started_at' - 'finished_at' from pgsolo.cron_run r) rows`
	for name, operator := range map[string]string{
		"pause":  `select pgsolo.pause_job('job')`,
		"resume": `update pgsolo.cron_job set paused_at = now(); select pgsolo.resume_job('job')`,
		"trigger": `do $$ begin perform pgsolo.trigger_job('job'); perform pgsolo.trigger_job('job', force => true);
			end $$`,
		"close": `update pgsolo.cron_run set outcome = 'failed', error = 'by hand', finished_at = now()`,
		"purge": `delete from pgsolo.cron_run where outcome not in ('queued', 'running')`,
	} {
		t.Run(name, func(t *testing.T) {
			pool, ctx := jobstest.Pool(t), t.Context()
			store, known, tick := setup(t, pool)
			begun, other := tick.later(0, Running), tick.later(2*time.Minute, Running)
			queued, started := tick.later(time.Minute, Queued), tick.later(time.Minute, Running)
			ended, retried := tick.later(0, Failed), tick.later(2*time.Minute, Retrying)
			writes := []func() error{
				func() error { _, err := store.Claim(ctx, 5, known, tick.At, takeAll); return err },
				func() error {
					_, _, err := store.Begin(ctx, 5, "here", []*Run{begun, queued, other}, nil)
					return err
				},
				func() error { _, _, err := store.Begin(ctx, 5, "here", nil, []*Run{started}); return err },
				func() error { _, err := store.Settle(ctx, 5, []*Run{ended, retried}); return err },
			}
			for i, write := range writes {
				if err := write(); err != nil {
					t.Fatal(err)
				}
				jobstest.MustExec(t, pool, operator)
				want := pgtest.Value[string](t, pool, dump)
				if err := write(); err != nil {
					t.Fatal(err)
				}
				if diff := cmp.Diff(want, pgtest.Value[string](t, pool, dump)); diff != "" {
					t.Errorf("write %d -want +got\n%s", i, diff)
				}
			}
		})
	}
}
