package eventlog

import (
	"testing"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/due"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
)

// A due query may find the row of a failed event before the loop knows that the write which makes it has ended. It
// would be taken, and then forgotten with the end of that write, and come once more.
func TestDueQueryBesideTheWriteOfAFailure(t *testing.T) {
	c := idleConsumer(t, Handler{Name: "h", Retry: jobs.Retry{Attempts: 3}}, nil)
	batch := cursor.DueBatch{Next: cursor.DueEvery, Due: []cursor.Due{
		{Record: &logread.Record{ID: 5}, Attempt: 2}, {Record: &logread.Record{ID: 6}, Attempt: 2},
	}}
	c.writer.Writing = &cursor.Progress{Failed: []cursor.Failure{{ID: 5, Attempt: 1}}}
	c.applyDue(&due.Query{}, &batch)
	if _, taken := c.due.Retrying[5]; taken || c.queue.Size() != 1 {
		t.Errorf("taken: %v; %d in the queue", c.due.Retrying, c.queue.Size())
	}
	if err := c.written(outcome{apply: func() {}}); err != nil {
		t.Fatal(err)
	}
	if _, taken := c.due.Retrying[6]; !taken {
		t.Error("the other one is forgotten")
	}
	c.applyDue(&due.Query{}, &batch)
	if _, taken := c.due.Retrying[5]; !taken {
		t.Error("not taken after the write either")
	}
}
