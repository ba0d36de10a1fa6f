package eventlog

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
)

// An error is kept as far as the database can hold it, and ends no leader.
func TestErrorsFitTheDatabase(t *testing.T) {
	t.Parallel()
	const said = "é → 日本 😀 \x00 \xff ~"
	for encoding, want := range map[string]string{
		"LATIN1": "é ? ?? ? ? ? ~", "EUC_JP": "é → 日本 ? ? ? ~", "SQL_ASCII": "é → 日本 😀 \ufffd \ufffd ~",
	} {
		t.Run(encoding, func(t *testing.T) {
			pool := jobstest.PoolIn(t, encoding)
			l := lead(t, pool, 1, Handler{Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 1},
				Handle: func(context.Context, Event) error { return errors.New(said) }})
			jobstest.Emit(t, pool, "t", `1`)
			pgtest.Eventually(t, "the dead letter", func() bool { return deliveries(t, pool, "dead") == 1 })
			if got := pgtest.Value[string](t, pool, `select error from pgsolo.delivery`); got != want {
				t.Errorf("kept %q, want %q", got, want)
			}
			if len(l.ended) > 0 {
				t.Errorf("the leader has ended: %v", <-l.ended)
			}
		})
	}
}

// Where somebody else's index or type wants shorter texts, they are short.
func TestErrorsFitWhatOthersWant(t *testing.T) {
	t.Parallel()
	for change, most := range map[string]int{
		`create index on pgsolo.delivery (error)`:                  200,
		`alter table pgsolo.delivery alter error type varchar(20)`: 0,
	} {
		pool := jobstest.Pool(t)
		execute(t, pool, `drop view pgsolo.dead_letter cascade`)
		execute(t, pool, change)
		long := pgtest.Value[string](t, pool, `select string_agg(md5(n::text), '') from generate_series(1, 250) n`)
		lead(t, pool, 1, Handler{Name: "h", Topic: "t", Retry: jobs.Retry{Attempts: 1},
			Handle: func(context.Context, Event) error { return errors.New(long) }})
		jobstest.Emit(t, pool, "t", `1`)
		pgtest.Eventually(t, "the dead letter", func() bool { return deliveries(t, pool, "dead") == 1 })
		if got := pgtest.Value[string](t, pool, `select error from pgsolo.delivery`); len(got) != most ||
			!strings.HasPrefix(long, got) {
			t.Errorf("%s: kept %q, want %d bytes", change, got, most)
		}
	}
}
