package eventlog

import (
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// leaveTopic leaves the events 1 to 5 done in a topic that the handler has left, and nothing else that says so.
func leaveTopic(t *testing.T) *restart {
	r, l := setupDone(t)
	l.quit()
	l = r.lead(func(h *Handler) { h.Topic = "u" })
	pgtest.Eventually(t, "the other topic", func() bool {
		return pgtest.Value[string](t, r.pool, `select coalesce(max(topic), '') from pgsolo.cursor`) == "u"
	})
	l.quit()
	jobstest.MustExec(t, r.pool, `update pgsolo.cursor set done = '{}'; update pgsolo.log set checked_id = 0`)
	return r
}

// A sequence that is raised is raised above what is done in topics that handlers have left.
func TestSequenceIsRaisedAboveALeftTopic(t *testing.T) {
	r := leaveTopic(t)
	jobstest.MustExec(t, r.pool, `delete from pgsolo.event where id <> 3; select setval('pgsolo.event_id_seq', 1)`)
	l := r.lead(func(h *Handler) { h.Topic = "u" })
	pgtest.Eventually(t, "the sequence to be raised", func() bool {
		return pgtest.Value[int64](t, r.pool, `select last_value from pgsolo.event_id_seq`) > 1
	})
	l.quit()
	r.emit(r.pool, "a", "b")
	l = r.lead()
	r.wants("in the topic that it is back in", "a", "b")
	l.quit()
}

// What is done in a topic that the handler has left is compared when it comes back.
func TestCounterThatWentBackBelowALeftTopic(t *testing.T) {
	r := leaveTopic(t)
	jobstest.MustExec(t, r.pool, resets["sequence set back"])
	r.emit(r.pool, "a", "b")
	l := r.lead()
	r.wants("in the topic that it is back in", "a", "b")
	r.emit(r.pool, "c", "d", "e", "f")
	r.wants("later", "c", "d", "e", "f")
	l.quit()
}
