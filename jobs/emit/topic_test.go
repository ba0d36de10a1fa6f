package emit

import (
	"errors"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/admin"
)

// A COPY rings once while some leader wants to be rung, and not at all while none does.
func TestTopicCopyRings(t *testing.T) {
	pool := jobstest.Pool(t)
	listen := jobstest.OwnSession(t, pool)
	jobstest.MustExec(t, listen, `listen "pgsolo.event"`)
	for _, armed := range []bool{false, true, false} {
		jobstest.MustExec(t, pool, `select pgsolo.arm('main', $1, 1)`, armed)
		if err := (Producer{}).EmitAll(t.Context(), pool, make3(Event{Topic: "t"})); err != nil {
			t.Fatal(err)
		}
		jobstest.MustExec(t, pool, `select pg_notify('pgsolo.event', 'last')`)
		rings := 0
		for ; jobstest.RingOn(t, listen) != "last"; rings++ {
		}
		if want := map[bool]int{true: 1}[armed]; rings != want {
			t.Errorf("armed %t: %d rings, want %d", armed, rings, want)
		}
	}
}

func make3(e Event) []Event { return []Event{e, e, e} }

func TestTopicsAreThoseThatAllGroupsKnow(t *testing.T) {
	pool := jobstest.Pool(t)
	know := func(group string, topics []string, wantChange bool) {
		t.Helper()
		const definition = `select xmin::text from pg_proc where oid = 'pgsolo.known_topics'::regproc`
		before := pgtest.Value[string](t, pool, definition)
		if got := pgtest.Value[bool](t, pool, `select pgsolo.know($1, $2)`, group, topics); got != wantChange {
			t.Errorf("know(%s, %q) = %t, want %t", group, topics, got, wantChange)
		}
		if changed := pgtest.Value[string](t, pool, definition) != before; changed != wantChange {
			t.Errorf("know(%s, %q) replaced the function: %t, want %t", group, topics, changed, wantChange)
		}
	}
	// Their leaders have no grace: what they lack is refused at once.
	jobstest.MustExec(t, pool, `insert into pgsolo.jobs_group ("group", forget_after) values ('main', 0), ('other', 0)`)
	producer := jobstest.OwnSession(t, pool) // keeps its plans over all of this
	accepts := func(topic string, want bool) {
		t.Helper()
		_, emit := Producer{}.Emit(t.Context(), producer, Event{Topic: topic})
		_, insert := producer.Exec(t.Context(), `insert into pgsolo.event (topic) values ($1)`, topic)
		batch := Producer{}.EmitAll(t.Context(), producer, []Event{{Topic: topic}})
		for how, err := range map[string]error{"emit": emit, "insert": refusal(insert), "copy": batch} {
			if want && err != nil || !want && !errors.Is(err, ErrUnknownTopic) {
				t.Errorf("%s topic %s: %v, want it accepted: %t", how, topic, err, want)
			}
		}
	}
	accepts("orders", true)
	know("main", nil, false)
	know("main", []string{"orders", "it's"}, true)
	know("main", []string{"it's", "orders", "orders"}, false)
	accepts("orders", true)
	accepts("it's", true)
	accepts("bills", false)
	know("other", []string{"bills", "orders"}, true)
	accepts("bills", true)
	accepts("it's", true)
	know("main", []string{"orders"}, true)
	accepts("it's", false)
	know("main", []string{}, false)
	accepts("orders", true)
	know("main", nil, true)
	accepts("anything", true)
	know("main", []string{}, true)
	accepts("anything", false)
	know("other", []string{}, true)
	accepts("anything", true)
}

func TestTopicRefusalNamesTheKnownOnes(t *testing.T) {
	pool := jobstest.Pool(t)
	jobstest.MustExec(t, pool, `select pgsolo.know('main', '{orders,bills}')`)
	_, err := Producer{}.Emit(t.Context(), pool, Event{Topic: "order"})
	if err == nil || !strings.Contains(err.Error(), `topic "order" is not known`) ||
		!strings.Contains(err.Error(), "bills, orders.") {
		t.Errorf("got %v, want the topic and those that are known", err)
	}
}

func TestTopicsInAnotherSchema(t *testing.T) {
	pool := jobstest.Pool(t)
	if err := jobs.Migrate(t.Context(), jobstest.OwnSession(t, pool), "other"); err != nil {
		t.Fatal(err)
	}
	jobstest.MustExec(t, pool,
		`select pgsolo.know('main', '{here}'), other.know('main', '{there}'), other.arm('main', true, 1)`)
	listen := jobstest.OwnSession(t, pool)
	jobstest.MustExec(t, listen, `listen "pgsolo.event"; listen "other.event"`)
	other := Producer{Schema: "other"}
	if id, err := other.Emit(t.Context(), pool, Event{Topic: "there", DedupKey: "k"}); id != 1 || err != nil {
		t.Errorf("got %d, %v, want id 1", id, err)
	}
	if err := other.EmitAll(t.Context(), pool, []Event{{Topic: "there"}}); err != nil {
		t.Error(err)
	}
	if _, err := other.Emit(t.Context(), pool, Event{Topic: "here"}); !errors.Is(err, ErrUnknownTopic) {
		t.Errorf("got %v, want the topic to be unknown there", err)
	}
	if id := newEvent(t, pool, Event{Topic: "here", DedupKey: "k"}); id != 1 {
		t.Errorf("got id %d, want 1: nothing of it went to the other schema's log", id)
	}
	jobstest.MustExec(t, pool, `insert into other.delivery
			(handler, event_id, topic, payload, headers, created_at, attempt, state, error)
		values ('h', 1, 'there', '1', '{}', now(), 1, 'dead', 'x')`)
	ctx, letters := t.Context(), admin.DeadLetters{Schema: "other"}
	listed, err := letters.List(ctx, pool, admin.DeadLetterFilter{}, admin.DeadLetterPage{})
	if _, getErr := letters.Get(ctx, pool, "h", 1); len(listed) != 1 || err != nil || getErr != nil {
		t.Errorf("listed %v, %v, got %v", listed, err, getErr)
	}
	if n, err := letters.Replay(ctx, pool, admin.DeadLetterFilter{All: true}); n != 1 || err != nil {
		t.Errorf("replayed %d, %v, want 1", n, err)
	}
	jobstest.MustExec(t, pool, `notify "pgsolo.event", 'last'`)
	for _, want := range []string{"", "", "retry", "last"} {
		if got := jobstest.RingOn(t, listen); got != want {
			t.Errorf("a ring with %q, want %q", got, want)
		}
	}
}
