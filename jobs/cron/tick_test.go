//go:build unix

package cron_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/jobs/exec"
	"github.com/pgsolo/pgsolo/jobs/webhook"
)

const (
	kept = 64 << 10 // bytes of output in the history
	none = -100     // no exit code, or no status; -1 would be one
)

// left is what a run leaves in the history.
type left struct {
	Output               string
	ExitCode, HTTPStatus int // may be none
}

func leftBy(report *jobs.Report) left {
	output, exitCode, httpStatus := report.End()
	l := left{Output: output, ExitCode: none, HTTPStatus: none}
	if exitCode != nil {
		l.ExitCode = *exitCode
	}
	if httpStatus != nil {
		l.HTTPStatus = *httpStatus
	}
	return l
}

func TestTickInvocation(t *testing.T) {
	zone := time.FixedZone("CET", 3600)
	tick := cron.Tick{
		Job: "report", ScheduledAt: time.Date(2026, 1, 2, 3, 4, 5, 0,
			zone), CatchUp: true, Attempt: 2, Term: 9, Report: new(jobs.Report),
	}
	want := jobs.Invocation{
		Name: "report", IdempotencyKey: "report/2026-01-02T02:04:05Z", Attempt: 2, Term: 9,
		Facts: map[string]string{"scheduled_at": "2026-01-02T03:04:05+01:00", "catch_up": "true", "manual": "false"},
	}
	got := tick.Invocation()
	if got.Report != tick.Report {
		t.Error("the invocation has another report than the tick")
	}
	got.Report = nil
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("invocation (-want +got):\n%s", diff)
	}
}

func TestTickIdempotencyKey(t *testing.T) {
	at := time.Date(2026, 10, 25, 0, 30, 0, 0, time.UTC)
	tick := cron.Tick{Job: "report", ScheduledAt: at, Attempt: 1, Term: 9}
	later := cron.Tick{Job: "report", ScheduledAt: at.In(time.FixedZone("CEST", 7200)), CatchUp: true, Attempt: 2,
		Term: 10}
	if a, b := tick.IdempotencyKey(), later.IdempotencyKey(); a != b {
		t.Errorf("two attempts at one tick have the keys %q and %q", a, b)
	}
	seen := map[string]bool{}
	for _, other := range []cron.Tick{
		tick,
		{Job: "backup", ScheduledAt: at},
		// the same time on a clock set back
		{Job: "report", ScheduledAt: at.Add(time.Hour).In(time.FixedZone("CET", 3600))},
		{Job: "report", ScheduledAt: at.Add(time.Microsecond), Manual: true},
	} {
		if key := other.IdempotencyKey(); seen[key] {
			t.Errorf("two ticks have the key %q", key)
		} else {
			seen[key] = true
		}
	}
}

func TestExecReports(t *testing.T) {
	for name, test := range map[string]struct {
		script string
		want   left
	}{
		"success": {"echo '  fine'", left{"  fine\n", 0, none}},
		"failure": {"echo out; echo err >&2; exit 3", left{"out\nerr\n", 3, none}},
		"silence": {"exit 255", left{"", 255, none}},
		"signal":  {"echo gone; kill -9 $$", left{"gone\n", none, none}},
		"no text": {`printf 'a\000\377'`, left{"a\uFFFD\uFFFD", 0, none}},
		"last 64 of 100k": {
			"yes 0123456789abcde | head -c 102400; echo the end; exit 1",
			left{tailOf("0123456789abcde\n", "the end\n"), 1, none},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var report jobs.Report
			err := exec.Command{Args: []string{"/bin/sh", "-c", test.script}}.Run(t.Context(),
				cron.Tick{Report: &report}.Invocation())
			if (err == nil) != (test.want.ExitCode == 0) {
				t.Errorf("Run = %v", err)
			}
			if diff := cmp.Diff(test.want, leftBy(&report)); diff != "" {
				t.Errorf("history (-want +got):\n%.2000s", diff)
			}
		})
	}
}

// tailOf is what is kept of many lines and an end.
func tailOf(line, end string) string {
	all := strings.Repeat(line, kept) + end
	return "…" + all[len(all)-kept+len("…"):]
}

func TestExecReportsNothingWithoutAStart(t *testing.T) {
	program := filepath.Join(t.TempDir(), "program")
	if err := os.WriteFile(program, []byte("\x00"), 0o700); err != nil { // the system can run no such file
		t.Fatal(err)
	}
	var report jobs.Report
	if err := (exec.Command{Args: []string{program}}).Run(t.Context(),
		cron.Tick{Report: &report}.Invocation()); err == nil {
		t.Fatal("Run = nil, want an error of the start")
	}
	if diff := cmp.Diff(left{"", none, none}, leftBy(&report)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

// The attempt has failed, but the program has exited all the same.
func TestExecReportsStatusAfterContextEnded(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	var report jobs.Report
	const script = "trap 'echo bye; exit 0' TERM; sleep 1000 >/dev/null 2>&1 & echo ready; wait"
	command := exec.Command{Args: []string{"/bin/sh", "-c", script}}
	command.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Debug, Output: onWrite(cancel)}) // ready
	if err := command.Run(ctx, cron.Tick{Report: &report}.Invocation()); !errors.Is(err, context.Canceled) {
		t.Errorf("Run = %v, want context.Canceled", err)
	}
	if diff := cmp.Diff(left{"ready\nbye\n", 0, none}, leftBy(&report)); diff != "" {
		t.Errorf("history (-want +got):\n%s", diff)
	}
}

type onWrite func()

func (f onWrite) Write(p []byte) (int, error) {
	f()
	return len(p), nil
}

func TestWebhookReports(t *testing.T) {
	long := bytes.Repeat([]byte("0123456789abcde\n"), 100<<10/16)
	answer := func(status int, body string) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(status)
			_, _ = io.WriteString(w, body)
		}
	}
	for name, test := range map[string]struct {
		answer http.HandlerFunc
		want   left
	}{
		"200":             {answer(200, "  fine\n"), left{"  fine\n", none, 200}},
		"204":             {answer(204, ""), left{"", none, 204}},
		"304":             {answer(304, ""), left{"", none, 304}},
		"500":             {answer(500, "out of paper\x00"), left{"out of paper\uFFFD", none, 500}},
		"as much as kept": {answer(500, string(long[:kept-3])), left{string(long[:kept-3]), none, 500}},
		"one byte more":   {answer(500, string(long[:kept-2])), left{string(long[:kept-3]) + "…", none, 500}},
		"100 KiB":         {answer(200, string(long)), left{string(long[:kept-3]) + "…", none, 200}},
		"redirect": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Location", "/elsewhere?token=hunter2")
			w.WriteHeader(307)
		}, left{"", none, 307}},
		"flood without end": {func(w http.ResponseWriter, r *http.Request) {
			for r.Context().Err() == nil {
				if _, err := w.Write(long); err != nil {
					return
				}
			}
		}, left{string(long[:kept-3]) + "…", none, 200}},
		"silence without end": {func(w http.ResponseWriter, r *http.Request) {
			_, _ = io.WriteString(w, "wait")
			w.(http.Flusher).Flush()
			<-r.Context().Done()
		}, left{"wait…", none, 200}},
		"broken off": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			_, _ = io.WriteString(w, "half")
		}, left{"half…", none, 200}},
		"broken off at once": {func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
		}, left{"", none, 200}},
		"no response": {func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, left{"", none, none}},
	} {
		t.Run(name, func(t *testing.T) {
			url, client := receiver(t, test.answer)
			var report jobs.Report
			request := webhook.Request{
				URL: strings.Replace(url, "://", "://user:hunter2@", 1) + "/hunter2?token=hunter2", Secret: "hunter2",
				Headers: map[string]string{"Authorization": "Bearer hunter2"}, Client: client,
			}
			err := request.Send(t.Context(), cron.Tick{Report: &report}.Invocation())
			if (err == nil) != (test.want.HTTPStatus/100 == 2) {
				t.Errorf("Send = %v", err)
			}
			if diff := cmp.Diff(test.want, leftBy(&report)); diff != "" { // exact: so there is no secret in it
				t.Errorf("history (-want +got):\n%.2000s", diff)
			}
		})
	}
}

// An event has no history: its request reads and quotes what it did without one.
func TestWebhookOfAnEventQuotesTheSame(t *testing.T) {
	for _, size := range []int{0, 1, 2 << 10, 2<<10 + 1, kept - 3, kept - 2, 100 << 10} {
		url, client := receiver(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(500)
			_, _ = w.Write(bytes.Repeat([]byte("x"), size))
		})
		request := webhook.Request{URL: url, Client: client}
		event := request.Send(t.Context(), eventlog.Event{}.Invocation())
		tick := request.Send(t.Context(), cron.Tick{Report: new(jobs.Report)}.Invocation())
		if event == nil || tick == nil || event.Error() != tick.Error() {
			t.Errorf("%d bytes: the error of an event is %.80v, of a tick %.80v", size, event, tick)
		}
	}
}

// receiver starts one that ends with the test, and returns its URL and a client for it.
func receiver(t *testing.T, handle http.HandlerFunc) (string, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	client := webhook.NewClient()
	t.Cleanup(client.CloseIdleConnections)
	return server.URL, client
}

// A program that writes while its report is read and ended by another goroutine does no harm.
func TestExecReportEndedMeanwhile(t *testing.T) {
	var report jobs.Report
	var once sync.Once
	command := exec.Command{Args: []string{"/bin/sh", "-c", "yes 0123456789abcde | head -c 1000000"}}
	command.Logger = hclog.New(&hclog.LoggerOptions{Level: hclog.Debug,
		Output: onWrite(func() { once.Do(func() { leftBy(&report) }) })})
	if err := command.Run(t.Context(), cron.Tick{Report: &report}.Invocation()); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(left{"", none, none}, leftBy(&report)); diff != "" {
		t.Errorf("history after its end (-want +got):\n%.2000s", diff)
	}
}
