package eventlog

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// What sets the counter back to where it began.
var resets = map[string]string{
	"truncated":         truncate,
	"sequence set back": `delete from pgsolo.event; select setval('pgsolo.event_id_seq', 1, false)`,
}

// numbered are payloads.
func numbered(prefix string, n int) (payloads []string) {
	for i := range n {
		payloads = append(payloads, fmt.Sprintf("%s%d", prefix, i))
	}
	return payloads
}

// leadsUntil has leaders until all these are handled, one after the other: one that finds that the log has gone back
// ends.
func (r *restart) leadsUntil(payloads ...string) {
	r.t.Helper()
	l := r.lead()
	deadline := time.After(time.Minute)
	for len(payloads) > 0 {
		select {
		case payload := <-r.handled:
			payloads = slices.DeleteFunc(payloads, func(p string) bool { return `"`+p+`"` == payload })
		case err := <-l.ended:
			if err == nil || !strings.Contains(err.Error(), "has gone back") {
				r.t.Fatalf("the leader ended with %v", err)
			}
			l = r.lead()
		case <-deadline:
			r.t.Fatalf("never handled: %v; logged:\n%s", payloads, &r.logged)
		}
	}
	l.cancel(nil)
	pgtest.Within(r.t, "end", l.ended)
}

// setupDone returns a log of five events that are done, and its last leader.
func setupDone(t *testing.T) (*restart, *leader) {
	r := setupRestart(t)
	l := r.lead()
	r.emit(r.pool, "1", "2", "3", "4", "5")
	r.wants("at first", "1", "2", "3", "4", "5")
	r.done()
	return r, l
}

// Transactions that have taken all ids again, and more, may all be under way when the next leader claims.
func TestCounterThatWasPassedUnseen(t *testing.T) {
	for name, reset := range resets {
		t.Run(name, func(t *testing.T) {
			r, l := setupDone(t)
			l.quit()
			jobstest.MustExec(t, r.pool, reset)
			open := jobstest.Begin(t, r.pool)
			want := numbered("a", 10)
			r.emit(open, want...)
			l = r.lead()
			pgtest.Eventually(t, "the claim", func() bool {
				return pgtest.Value[int64](t, r.pool, `select term from pgsolo.cursor`) == r.term
			})
			r.emit(r.pool, "b")
			r.wants("above", "b") // which notes a later time
			pgtest.Eventually(t, "progress, and what was known before it, to be written", func() bool {
				return pgtest.Value[bool](t, r.pool, `select coalesce(max(upper(c.done)) > 11, false)
					and (max(l.epoch) > 0 or max(l.checked_id) = 5) from pgsolo.cursor c, pgsolo.log l`)
			})
			l.cancel(nil)
			pgtest.Within(t, "end", l.ended)
			jobstest.Commit(t, open)
			r.leadsUntil(want...)
		})
	}
}

func TestCounterThatWasPassedUnseenUnderALeader(t *testing.T) {
	r, l := setupDone(t)
	l.quit()
	jobstest.MustExec(t, r.pool, resets["sequence set back"])
	open := jobstest.Begin(t, r.pool)
	want := numbered("a", 10)
	r.emit(open, want...)
	l = r.lead()
	pgtest.Eventually(t, "the claim", func() bool {
		return pgtest.Value[int64](t, r.pool, `select term from pgsolo.cursor`) == r.term
	})
	jobstest.Commit(t, open)
	if err := pgtest.Within(t, "the end of the leader", l.ended); err == nil ||
		!strings.Contains(err.Error(), "has gone back") {
		t.Errorf("the leader ended with %v", err)
	}
	r.leadsUntil(want[:5]...) // the others may be done
}

// A leader that dies before its poll has seen the reset has written down what it has done since.
func TestLeaderDiesBetweenResetAndPoll(t *testing.T) {
	t.Parallel()
	for name, reset := range resets {
		t.Run(name, func(t *testing.T) {
			r, l := setupDone(t)
			pgtest.Eventually(t, "a proof to be written down", func() bool {
				return pgtest.Value[int64](t, r.pool, `select checked_id from pgsolo.log`) == 5
			})
			noPoll := jobstest.Begin(t, r.pool)
			jobstest.MustExec(t, noPoll, `lock table pgsolo.log in access exclusive mode`)
			jobstest.MustExec(t, r.pool, reset)
			tx := jobstest.Begin(t, r.pool)
			want := numbered("a", 30)
			r.emit(tx, want...)
			jobstest.Commit(t, tx)
			pgtest.Eventually(t, "progress since", func() bool {
				l.runner.handlers[0].Ring()
				return pgtest.Value[int64](t, r.pool, `select upper(done) from pgsolo.cursor`) == 31
			})
			l.cancel(nil)
			pgtest.Within(t, "end", l.ended)
			for len(r.handled) > 0 {
				<-r.handled // those above
			}
			jobstest.Commit(t, noPoll)
			r.leadsUntil(want[:5]...)
		})
	}
}

// Events are emitted while the leader finds out that the log was truncated, one by one, and afterwards.
func TestTruncatedUnderALeader(t *testing.T) {
	for _, between := range []int{0, 3, 5, 8} {
		t.Run(fmt.Sprint(between, " events between"), func(t *testing.T) {
			r, l := setupDone(t)
			pgtest.Eventually(t, "a proof to be written down", func() bool {
				return pgtest.Value[int64](t, r.pool, `select checked_id from pgsolo.log`) == 5
			})
			jobstest.MustExec(t, r.pool, truncate)
			want := numbered("b", between)
			r.emit(r.pool, want...)
			if err := pgtest.Within(t, "the end of the leader", l.ended); err == nil ||
				!strings.Contains(err.Error(), "has gone back") {
				t.Errorf("the leader ended with %v", err)
			}
			for len(r.handled) > 0 {
				payload := strings.Trim(<-r.handled, `"`)
				want = slices.DeleteFunc(want, func(w string) bool { return w == payload })
			}
			after := numbered("a", 6)
			r.emit(r.pool, after...)
			r.leadsUntil(append(want, after...)...)
		})
	}
}

// Rows with ids above the sequence come under a leader, as COPY or logical replication brings them. It ends, and the
// sequence is raised above them: what is emitted meanwhile and afterwards under ids in between, or above, is handled.
func TestRowsAboveTheSequenceUnderALeader(t *testing.T) {
	r, l := setupDone(t)
	jobstest.MustExec(t, r.pool, `insert into pgsolo.event (id, topic, payload)
		select 20 + i, 't', to_jsonb('c' || i) from generate_series(1, 3) i`)
	r.emit(r.pool, "b") // which has the rows read
	if err := pgtest.Within(t, "the end of the leader", l.ended); err == nil ||
		!strings.Contains(err.Error(), "has gone back") {
		t.Errorf("the leader ended with %v", err)
	}
	want := []string{"b", "c1", "c2", "c3"}
	for len(r.handled) > 0 {
		payload := strings.Trim(<-r.handled, `"`)
		want = slices.DeleteFunc(want, func(w string) bool { return w == payload })
	}
	after := numbered("a", 20)
	r.emit(r.pool, after...)
	r.leadsUntil(append(want, after...)...)
}
