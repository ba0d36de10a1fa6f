package eventlog

import (
	"context"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/jobstest"
	"github.com/pgsolo/pgsolo/jobs"
)

func TestHandlerOptionsAreChecked(t *testing.T) {
	handle := func(context.Context, Event) error { return nil }
	handleTx := func(context.Context, pgx.Tx, Event) error { return nil }
	topic, channel := Handler{Name: "h", Topic: "t", Handle: handle}, Handler{Name: "h", Channel: "c", Handle: handle}
	tx := Handler{Name: "h", Topic: "t", HandleTx: handleTx}
	for _, test := range []struct {
		of     Handler
		change func(*Handler)
		want   string // after the handler's name; empty: it is taken
	}{
		{topic, func(h *Handler) {}, ""},
		{topic, func(h *Handler) { h.Name = "\xff" }, "Name has invalid UTF-8 at byte 1"},
		{topic, func(h *Handler) { h.Handle = nil }, "Handle or HandleTx is required"},
		{topic, func(h *Handler) { h.HandleTx = handleTx }, "Handle and HandleTx are both set: want one of them"},
		{topic, func(h *Handler) { h.Topic = "" }, `want one of Topic and Channel, got "" and ""`},
		{topic, func(h *Handler) { h.Channel = "c" }, `want one of Topic and Channel, got "t" and "c"`},
		{topic, func(h *Handler) { h.Topic = "*" }, `Topic "*" is no name of a topic`},
		{topic, func(h *Handler) { h.Topic = "a\x00" }, "Topic has NUL at byte 2"},
		{topic, func(h *Handler) { h.Concurrency = -1 }, "Concurrency -1 is negative"},
		{topic, func(h *Handler) { h.Timeout = -time.Second }, "Timeout -1s is negative"},
		{topic, func(h *Handler) { h.Batch = 2 }, "Batch needs HandleTx"},
		{tx, func(h *Handler) { h.Batch = 2 }, ""},
		{tx, func(h *Handler) { h.Batch = -1 }, "Batch -1 is negative"},
		{topic, func(h *Handler) { h.Start = StartLatest }, ""},
		{topic, func(h *Handler) { h.Start = "now" }, `Start "now": want "earliest" or "latest"`},
		{topic, func(h *Handler) { h.Order = "id" }, `Order "id": want "none" or "key"`},
		{topic, func(h *Handler) { h.Order, h.OnDead = OrderKey, OnDeadBlockKey }, ""},
		{topic, func(h *Handler) { h.OnDead = OnDeadContinue }, ""},
		{topic, func(h *Handler) { h.OnDead = OnDeadBlockKey }, `OnDead "block_key" needs Order "key"`},
		{topic, func(h *Handler) { h.OnDead = "stop" }, `OnDead "stop": want "continue" or "block_key"`},
		{topic, func(h *Handler) { h.Rate.Events = -1 }, "Rate.Events -1 is negative"},
		{topic, func(h *Handler) { h.Rate = jobs.Rate{Events: 1, Per: -time.Second} }, "Rate.Per -1s is negative"},
		{topic, func(h *Handler) { h.Rate.Per = time.Second }, "Rate.Per needs Rate.Events"},
		{topic, func(h *Handler) { h.Retry.Attempts = -1 }, "Retry.Attempts -1 is negative"},
		{topic, func(h *Handler) { h.Retry.Backoff = -1 }, "Retry.Backoff -1ns is negative"},
		{topic, func(h *Handler) { h.Retry = jobs.Retry{Backoff: time.Minute, MaxBackoff: time.Second} },
			"Retry.MaxBackoff 1s is less than Backoff 1m0s"},
		{topic, func(h *Handler) { h.Retry.Jitter = 1 }, "Retry.Jitter 1: want a fraction below 1"},
		{topic, func(h *Handler) { h.Retry.Jitter = math.NaN() }, "Retry.Jitter NaN: want a fraction below 1"},
		{topic, func(h *Handler) { h.Retry.Jitter = -1 }, ""},
		{topic, func(h *Handler) { h.Breaker.Failures = -1 }, "Breaker.Failures -1 is negative"},
		{topic, func(h *Handler) { h.Breaker.Pause = time.Second },
			"Breaker.Pause and Breaker.MaxPause need Breaker.Failures"},
		{topic, func(h *Handler) { h.Breaker = jobs.Breaker{Failures: 1, Pause: -1, MaxPause: 0} },
			"Breaker.Pause -1ns is negative"},
		{topic, func(h *Handler) { h.Breaker = jobs.Breaker{Failures: 1, Pause: time.Minute, MaxPause: time.Second} },
			"Breaker.MaxPause 1s is less than Pause 1m0s"},
		{channel, func(h *Handler) {
			h.When, h.Rate, h.Concurrency, h.Timeout = func(Event) (bool, error) { return true, nil },
				jobs.Rate{Events: 1}, 2, time.Second
		}, ""},
		{channel, func(h *Handler) { h.Handle, h.HandleTx = nil, handleTx },
			"HandleTx needs Topic: it does not apply to Channel"},
		{channel, func(h *Handler) { h.Channel = "\x00" }, "Channel has NUL at byte 1"},
		{channel, func(h *Handler) { h.Batch = 1 }, "Batch needs Topic: it does not apply to Channel"},
		{channel, func(h *Handler) { h.Start = StartLatest }, "Start needs Topic: it does not apply to Channel"},
		{channel, func(h *Handler) { h.Order = OrderKey }, "Order needs Topic: it does not apply to Channel"},
		{channel, func(h *Handler) { h.OnDead = OnDeadContinue }, "OnDead needs Topic: it does not apply to Channel"},
		{channel, func(h *Handler) { h.Retry.Attempts = 2 }, "Retry needs Topic: it does not apply to Channel"},
		{channel, func(h *Handler) { h.Breaker.Failures = 2 }, "Breaker needs Topic: it does not apply to Channel"},
	} {
		test.change(&test.of)
		err := test.of.WithDefaults().check()
		got := ""
		if err != nil {
			got = err.Error()
		}
		want := ""
		if test.want != "" {
			want = fmt.Sprintf("jobs: handler %q: %s", test.of.Name, test.want)
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestHandlerDefaults(t *testing.T) {
	handle := func(context.Context, Event) error { return nil }
	retry := jobs.Retry{Attempts: 10, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: 0.1}
	for name, test := range map[string]struct{ of, want Handler }{
		"of a topic": {
			Handler{Name: "h", Topic: "t", Handle: handle},
			Handler{Name: "h", Topic: "t", Concurrency: 1, Timeout: 30 * time.Second,
				Start: StartEarliest, Order: OrderNone, OnDead: OnDeadContinue, Retry: retry},
		},
		"in transactions": {
			Handler{Name: "h", Topic: "t", HandleTx: func(context.Context, pgx.Tx, Event) error { return nil }},
			Handler{Name: "h", Topic: "t", Batch: 1, Concurrency: 1, Timeout: 30 * time.Second,
				Start: StartEarliest, Order: OrderNone, OnDead: OnDeadContinue, Retry: retry},
		},
		"of a channel": {
			Handler{Name: "h", Channel: "c", Handle: handle, Rate: jobs.Rate{Events: 5}},
			Handler{Name: "h", Channel: "c", Concurrency: 1, Timeout: 30 * time.Second,
				Rate: jobs.Rate{Events: 5, Per: time.Second}},
		},
		"that depend on others": {
			Handler{Name: "h", Topic: "t", Handle: handle, Rate: jobs.Rate{Events: 5},
				Retry:   jobs.Retry{Backoff: 2 * time.Hour, Jitter: -1},
				Breaker: jobs.Breaker{Failures: 3, Pause: time.Hour}},
			Handler{Name: "h", Topic: "t", Concurrency: 1, Timeout: 30 * time.Second,
				Rate:  jobs.Rate{Events: 5, Per: time.Second},
				Start: StartEarliest, Order: OrderNone, OnDead: OnDeadContinue,
				Retry:   jobs.Retry{Attempts: 10, Backoff: 2 * time.Hour, MaxBackoff: 2 * time.Hour, Jitter: -1},
				Breaker: jobs.Breaker{Failures: 3, Pause: time.Hour, MaxPause: time.Hour}},
		},
		"of a breaker": {
			Handler{Name: "h", Topic: "t", Handle: handle, Breaker: jobs.Breaker{Failures: 3}},
			Handler{Name: "h", Topic: "t", Concurrency: 1, Timeout: 30 * time.Second,
				Start: StartEarliest, Order: OrderNone, OnDead: OnDeadContinue, Retry: retry,
				Breaker: jobs.Breaker{Failures: 3, Pause: time.Second, MaxPause: time.Minute}},
		},
	} {
		got := test.of.WithDefaults()
		err := got.check()
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if diff := cmp.Diff(test.want, got, cmpopts.IgnoreFields(Handler{}, "Handle", "HandleTx", "When")); diff != "" {
			t.Errorf("%s: -want +got\n%s", name, diff)
		}
	}
}

func TestRunnerOptionsAreChecked(t *testing.T) {
	pool := jobstest.Pool(t)
	handlers := []Handler{{Name: "h", Topic: "t", Handle: func(context.Context, Event) error { return nil }}}
	for want, options := range map[string]Options{
		"": {Pool: pool, Handlers: handlers,
			Topics: []Topic{{Name: "t", Retention: time.Hour}, {Name: "*", Retention: 0}}},
		"jobs: Pool is required":        {Handlers: handlers},
		"jobs: Group has NUL at byte 1": {Pool: pool, Handlers: handlers, Group: "\x00"},
		"jobs: Topics[1]: Name is required": {Pool: pool, Handlers: handlers,
			Topics: []Topic{{Name: "a"}, {}}},
		`jobs: two topics are named "a"`: {Pool: pool, Handlers: handlers,
			Topics: []Topic{{Name: "a"}, {Name: "a"}}},
		"jobs: Topics[0]: Name has NUL at byte 1": {Pool: pool, Handlers: handlers, Topics: []Topic{{Name: "\x00"}}},
		`jobs: topic "a": Retention -1s is negative`: {Pool: pool, Handlers: handlers,
			Topics: []Topic{{Name: "a", Retention: -time.Second}}},
		`jobs: topic "a": MaxPayload 1 is below 16777216, which every topic may have`: {Pool: pool,
			Handlers: handlers, Topics: []Topic{{Name: "a", MaxPayload: 1}}},
		`jobs: Schema "A": want lower-case letters, digits and underscores, at most 40`: {Pool: pool,
			Handlers: handlers, Schema: "A"},
	} {
		got := ""
		if _, err := New(options); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func TestNewNamesTheWrongField(t *testing.T) {
	pool := jobstest.Pool(t)
	handle := func(context.Context, Event) error { return nil }
	for want, handlers := range map[string][]Handler{
		`handler "": Name`:                           {{Topic: "t", Handle: handle}},
		`handler "h": Handle`:                        {{Name: "h", Topic: "t"}},
		`handler "h": want one of Topic and Channel`: {{Name: "h", Handle: handle}},
		`handler "h": Timeout -1s`:                   {{Name: "h", Topic: "t", Handle: handle, Timeout: -time.Second}},
		`handler "h": Retry.Attempts`: {{Name: "h", Topic: "t", Handle: handle,
			Retry: jobs.Retry{Attempts: -1}}},
		`two handlers are named "h"`: {{Name: "h", Topic: "t", Handle: handle},
			{Name: "h", Topic: "t", Handle: handle}},
		`handler "h": Channel needs`: {{Name: "h", Channel: "c", Handle: handle}},
	} {
		if _, err := New(Options{Pool: pool, Handlers: handlers}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("error %v, want %q", err, want)
		}
	}
}
