package admin

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// failedAt is when deadLetter 1 failed; the n-th failed n hours later.
var failedAt = time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)

// giveUp puts dead letters of a handler into the table: one for each error, with ids from 1 on.
func giveUp(t testing.TB, pool *pgxpool.Pool, handler string, errors ...string) {
	t.Helper()
	for i, message := range errors {
		jobstest.MustExec(t, pool, `insert into pgsolo.delivery
				(handler, event_id, topic, key, payload, headers, created_at, attempt, state, error, failed_at)
			values ($1, $2, 't', 'k', '{"n": 1}', '{"tenant": "a"}', $4, 3, 'dead', $3, $4)`,
			handler, i+1, message, failedAt.Add(time.Duration(i+1)*time.Hour))
	}
}

// names shows dead letters as handler/event.
func names(letters []DeadLetter) string {
	var all []string
	for _, l := range letters {
		all = append(all, fmt.Sprintf("%s/%d", l.Handler, l.EventID))
	}
	return strings.Join(all, " ")
}

// What would take too much memory is left out.
func TestLargeDeadLetters(t *testing.T) {
	pool := jobstest.Pool(t)
	giveUp(t, pool, "a", "x", "x")
	jobstest.MustExec(t, pool, `update pgsolo.delivery set
			payload = (select jsonb_agg('1e131071'::jsonb) from generate_series(1, 600)),
			headers = (select jsonb_build_object('x', jsonb_agg('1e131071'::jsonb)) from generate_series(1, 600))
		where event_id = 1`)
	letters, err := DeadLetters{}.List(t.Context(), pool, DeadLetterFilter{}, DeadLetterPage{})
	if err != nil || len(letters) != 2 || letters[0].Headers != nil || letters[1].Headers["tenant"] != "a" {
		t.Errorf("listed %v, %v", letters, err)
	}
	letter, err := DeadLetters{}.Get(t.Context(), pool, "a", 1)
	if err != nil || letter.Payload != nil || letter.Headers != nil {
		t.Errorf("got %d bytes, %v", len(letter.Payload), err)
	}
	if letter, err = (DeadLetters{}).Get(t.Context(), pool, "a", 2); string(letter.Payload) != `{"n": 1}` {
		t.Errorf("got %s, %v", letter.Payload, err)
	}
}

func TestDeadLettersAreSelected(t *testing.T) {
	pool := jobstest.Pool(t)
	giveUp(t, pool, "a", "50% done", "500 done", `C:\x`)
	giveUp(t, pool, "b", "a_b", "axb")
	jobstest.MustExec(t, pool, `insert into pgsolo.delivery
			(handler, event_id, topic, payload, headers, created_at, attempt, state, next_at, error)
		values ('a', 9, 't', '1', '{}', now(), 1, 'retry', now(), '50% done')`)
	for name, test := range map[string]struct {
		filter DeadLetterFilter
		want   string
	}{
		"all":                   {DeadLetterFilter{All: true}, "a/1 a/2 a/3 b/1 b/2"},
		"of a handler":          {DeadLetterFilter{Handler: "b"}, "b/1 b/2"},
		"of an event":           {DeadLetterFilter{EventID: 2}, "a/2 b/2"},
		"before a date":         {DeadLetterFilter{FailedBefore: failedAt.Add(2 * time.Hour)}, "a/1 b/1"},
		"with a per cent sign":  {DeadLetterFilter{ErrorContains: "0% d"}, "a/1"},
		"with an underscore":    {DeadLetterFilter{ErrorContains: "a_b"}, "b/1"},
		"with a backslash":      {DeadLetterFilter{ErrorContains: `:\x`}, "a/3"},
		"with a last backslash": {DeadLetterFilter{ErrorContains: `C:\`}, "a/3"},
		"none":                  {DeadLetterFilter{Handler: "c"}, ""},
		"with several conditions": {
			DeadLetterFilter{Handler: "a", FailedBefore: failedAt.Add(150 * time.Minute), ErrorContains: "done"},
			"a/1 a/2",
		},
	} {
		t.Run(name, func(t *testing.T) {
			ctx := t.Context()
			listed, err := DeadLetters{}.List(ctx, pool, test.filter, DeadLetterPage{})
			if got := names(listed); err != nil || got != test.want {
				t.Errorf("listed %s, %v, want %s", got, err, test.want)
			}
			for what, change := range map[string]func(context.Context, Querier, DeadLetterFilter) (int64, error){
				"replay": DeadLetters{}.Replay, "discard": DeadLetters{}.Discard,
			} {
				tx := jobstest.Begin(t, pool)
				before, err := DeadLetters{}.List(ctx, tx, DeadLetterFilter{}, DeadLetterPage{})
				if err != nil {
					t.Fatal(err)
				}
				n, err := change(ctx, tx, test.filter)
				if err != nil || n != int64(len(listed)) {
					t.Errorf("%s: %d, %v, want %d", what, n, err, len(listed))
				}
				after, err := DeadLetters{}.List(ctx, tx, DeadLetterFilter{}, DeadLetterPage{})
				if err != nil {
					t.Fatal(err)
				}
				if want := without(before, listed); names(after) != want {
					t.Errorf("%s left %s, want %s", what, names(after), want)
				}
				rest := map[string]int{"replay": 6, "discard": 6 - len(listed)}[what]
				if got := pgtest.Value[int](t, tx, `select count(*) from pgsolo.delivery`); got != rest {
					t.Errorf("%s: %d deliveries left, want %d", what, got, rest)
				}
				if err := tx.Rollback(ctx); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.dead_letter`); n != 5 {
		t.Errorf("%d dead letters after all was rolled back, want 5", n)
	}
}

// without shows the dead letters of all that are not in gone, as names does.
func without(all, gone []DeadLetter) string {
	left := map[string]bool{}
	for _, g := range gone {
		left[names([]DeadLetter{g})] = true
	}
	var rest []DeadLetter
	for _, l := range all {
		if !left[names([]DeadLetter{l})] {
			rest = append(rest, l)
		}
	}
	return names(rest)
}

// A variable that is empty by mistake replays and discards nothing.
func TestDeadLettersWithoutAConditionStay(t *testing.T) {
	pool := jobstest.Pool(t)
	giveUp(t, pool, "h", "x")
	tx := jobstest.Begin(t, pool) // can go on after each refusal
	for _, filter := range []DeadLetterFilter{
		{}, {FailedBefore: time.Time{}.Local()}, {All: true, Handler: "h"}, {Handler: "h\x00"},
		{ErrorContains: "\xff"},
	} {
		if n, err := (DeadLetters{}).Replay(t.Context(), tx, filter); err == nil {
			t.Errorf("replayed %d by %+v", n, filter)
		}
		if n, err := (DeadLetters{}).Discard(t.Context(), tx, filter); err == nil {
			t.Errorf("discarded %d by %+v", n, filter)
		}
	}
	if n, err := (DeadLetters{}).Discard(t.Context(), tx, DeadLetterFilter{All: true}); n != 1 || err != nil {
		t.Errorf("discarded %d, %v, want 1", n, err)
	}
	if err := tx.Rollback(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, args := range []string{
		"", "null", "null, null, null, null", "everything => null", "'h', everything => true",
	} {
		for _, function := range []string{"replay", "discard"} {
			if _, err := pool.Exec(t.Context(), `select pgsolo.`+function+`(`+args+`)`); err == nil {
				t.Errorf("%s(%s) was accepted", function, args)
			}
		}
	}
	if n := pgtest.Value[int](t, pool, `select count(*) from pgsolo.dead_letter`); n != 1 {
		t.Errorf("%d dead letters, want 1", n)
	}
}

func TestDeadLettersInPages(t *testing.T) {
	pool := jobstest.Pool(t)
	giveUp(t, pool, "a", "1", "2", "3")
	giveUp(t, pool, "b", "1", "2")
	var (
		page  = DeadLetterPage{Limit: 2}
		pages []string
	)
	for len(pages) < 5 {
		letters, err := DeadLetters{}.List(t.Context(), pool, DeadLetterFilter{}, page)
		if err != nil {
			t.Fatal(err)
		}
		if len(letters) == 0 {
			break
		}
		pages = append(pages, names(letters))
		last := letters[len(letters)-1]
		page.AfterHandler, page.AfterEvent = last.Handler, last.EventID
	}
	if diff := cmp.Diff([]string{"a/1 a/2", "a/3 b/1", "b/2"}, pages); diff != "" {
		t.Errorf("-want +got\n%s", diff)
	}
	if _, err := (DeadLetters{}).List(t.Context(), pool, DeadLetterFilter{}, DeadLetterPage{Limit: -1}); err == nil {
		t.Error("took a negative limit")
	}
}

func TestDeadLetterIsShown(t *testing.T) {
	pool := jobstest.Pool(t)
	giveUp(t, pool, "h", "boom")
	at := failedAt.Add(time.Hour)
	want := DeadLetter{
		Handler: "h", EventID: 1, Topic: "t", Key: "k", Headers: map[string]string{"tenant": "a"},
		Payload: []byte(`{"n": 1}`), CreatedAt: at, FailedAt: at, Attempts: 3, Error: "boom",
	}
	got, err := DeadLetters{}.Get(t.Context(), pool, "h", 1)
	if diff := cmp.Diff(want, got); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	want.Payload = nil
	listed, err := DeadLetters{}.List(t.Context(), pool, DeadLetterFilter{}, DeadLetterPage{})
	if diff := cmp.Diff([]DeadLetter{want}, listed); err != nil || diff != "" {
		t.Errorf("%v, -want +got\n%s", err, diff)
	}
	if _, err := (DeadLetters{}).Get(t.Context(), pool, "h", 2); !errors.Is(err, ErrNoDeadLetter) {
		t.Errorf("got %v, want ErrNoDeadLetter", err)
	}
}

func TestDeadLetterChangesRing(t *testing.T) {
	pool := jobstest.Pool(t)
	giveUp(t, pool, "h", "1", "2", "3")
	listen := jobstest.OwnSession(t, pool)
	jobstest.MustExec(t, listen, `listen "pgsolo.event"`)
	rings := func(what, sql string, want ...string) {
		t.Helper()
		jobstest.MustExec(t, pool, sql+`; select pg_notify('pgsolo.event', 'last')`)
		for _, payload := range append(want, "last") {
			if got := jobstest.RingOn(t, listen); got != payload {
				t.Errorf("%s: a ring with %q, want %q", what, got, payload)
			}
		}
	}
	rings("nothing to do", `select pgsolo.replay('h', 9), pgsolo.discard('h', 9)`)
	rings("a replay", `select pgsolo.replay('h', 1)`, "retry")
	rings("a discard", `select pgsolo.discard('h', 2)`, "retry")
	rings("to be prepared", `begin; set local pgsolo.ring = off; select pgsolo.replay('h', 3); commit`)
}
