package cursor

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/idset"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// What is to be retried, moved or dead is written from memory where its row has gone from the log. A repetition of the
// write changes nothing, and neither does it bring back what has been discarded since.
func TestEventsThatAreGoneFromTheLog(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `select pgsolo.emit('t', to_jsonb(n), key => nullif('k' || n, 'k1'),
		headers => jsonb_build_object('n', n::text), deliver_at => case n when 4 then now() + interval '1 hour' end)
		from generate_series(1, 9) n`)
	db := pg.DB{Pool: pool, Schema: jobs.DefaultSchema}
	reader, holes := logread.NewReader(db, "t"), idset.Holes{}
	holes.Add(idset.Span{Lo: 1, Hi: 10})
	page, err := reader.In(t.Context(), holes, 10)
	if err != nil {
		t.Fatal(err)
	}
	records := map[int64]*logread.Record{}
	for i := range page.Records {
		records[page.Records[i].ID] = &page.Records[i]
	}
	records[6].Payload = []byte("\x00no JSON") // by the handler
	for id := range int64(2) {                 // not read
		records[8+id].Payload = []byte(`{"marker": "large", "marker damaged": ""}`)
	}
	c := Cursor{DB: db, Handler: "h", Topic: "t", Term: 1, Marker: "marker"}
	if _, err := c.Claim(t.Context(), "main", false); err != nil {
		t.Fatal(err)
	}
	jobstest.MustExec(t, pool, `create table kept as select * from pgsolo.event`)
	jobstest.MustExec(t, pool, `delete from pgsolo.event where id not in (7, 9)`)
	var w Writer
	w.Gone([]idset.Span{{Lo: 5, Hi: 6}})
	w.Failed(Failure{ID: 1, Record: records[1], Attempt: 1, RetryIn: time.Hour, Message: "x"})
	w.Failed(Failure{ID: 2, Record: records[2], Attempt: 1, Dead: true, Message: "x"})
	w.Move(Moved{Record: records[3], Key: "k3"})
	w.Move(Moved{Record: &page.Later[0].Record, Due: page.Later[0].Due})
	w.Failed(Failure{ID: 6, Record: records[6], Attempt: 1, RetryIn: time.Hour, Message: "x"})
	w.Failed(Failure{ID: 7, Record: records[7], Attempt: 1, RetryIn: time.Hour, Message: "x"})
	w.Move(Moved{Record: records[8], Due: page.Later[0].Due})
	w.Failed(Failure{ID: 9, Record: records[9], Attempt: 1, Dead: true, Message: "x"})
	p := w.Begin(time.Now())
	check := func(what, want string) {
		t.Helper()
		if _, err := c.Save(t.Context(), p); err != nil {
			t.Fatal(err)
		}
		got := pgtest.Value[string](t, pool, `select string_agg(concat_ws(' ', d.event_id, d.state, d.attempt,
				round(extract(epoch from d.next_at - now()) / 3600) || ' h', nullif(d.error, ''),
				case when d.payload = 'null' then 'without payload' end,
				case when (d.topic, d.key, d.created_at) is distinct from (k.topic, k.key, k.created_at)
					or d.payload <> 'null' and (d.payload, d.headers) is distinct from (k.payload, k.headers)
					then 'changed' end),
				E'\n' order by d.event_id) from pgsolo.delivery d join kept k on k.id = d.event_id`)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		if done := pgtest.Value[string](t, pool, `select done::text from pgsolo.cursor`); done != "{[1,10)}" {
			t.Errorf("%s: done = %s", what, done)
		}
	}
	want := `1 retry 1 1 h x
2 dead 1 x
3 waiting 0
4 scheduled 0 1 h
6 retry 1 1 h x; the payload was lost with the row of the log without payload
7 retry 1 1 h x
8 dead 0 the event is not read: large; the payload was not copied without payload
9 dead 1 x; the payload was not copied without payload`
	check("written", want)
	check("repeated", want)
	jobstest.MustExec(t, pool, `select pgsolo.discard('h')`)
	check("repeated after a discard", `1 retry 1 1 h x
3 waiting 0
4 scheduled 0 1 h
6 retry 1 1 h x; the payload was lost with the row of the log without payload
7 retry 1 1 h x`)

	c.Term = 0
	if _, err := c.Save(t.Context(), p); err == nil {
		t.Error("a leader that is fenced has written")
	}
}
