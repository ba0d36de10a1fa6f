package web

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"
	"go.uber.org/goleak"

	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/listener"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// setup serves a status that the test can change.
func setup(t *testing.T) (*Server, *election.Status) {
	t.Helper()
	return serving(t, new(listener.Stats))
}

func serving(t *testing.T, listening *listener.Stats) (*Server, *election.Status) {
	t.Helper()
	status := &election.Status{Election: "main", Role: election.Outside}
	return New(Options{
		Elections: []Election{electionOf(status)},
		Listener:  func() listener.Stats { return *listening },
		Build:     Build{Version: "v1", Go: "go1"}, Logger: hclog.NewNullLogger(),
	}), status
}

func noListener() listener.Stats { return listener.Stats{} }

// electionOf has a status that the test can change, and some figures.
func electionOf(status *election.Status) Election {
	return Election{
		Status: func() election.Status { return *status },
		Stats: func() election.Stats {
			return election.Stats{
				Lost: map[string]int64{"silence": 2}, Takeovers: map[string]election.Takeover{"fenced": {Count: 6}},
			}
		},
		Events: func() eventlog.Stats {
			return eventlog.Stats{
				Log: eventlog.LogStats{Appended: 17, BlockedBy: "app psql 5", BlockedFor: 20 * time.Second},
				Handlers: []eventlog.HandlerStats{
					{
						Name: "h", Handled: 3, Failed: 2, Dead: 1, InFlight: 4, Retried: 6, Filtered: 7, Lag: 8,
						OldestAge: 1500 * time.Millisecond,
						Durations: jobs.Histogram{
							Count: 5, Sum: 0.25, Buckets: map[float64]uint64{0.001: 2, 0.1: 4},
						},
						Batches: jobs.Histogram{Count: 2, Sum: 9, Buckets: map[float64]uint64{1: 1, 10: 2}},
						Paused:  true, Pauses: 3,
					},
					{Name: "plain"},
				},
			}
		},
		Crons: func() []cron.Stats {
			return []cron.Stats{{
				Name: "c", Succeeded: 5, Missed: 2, Replaced: 3, Started: 9, Retried: 1, Running: 2, Waiting: 4,
				Paused: true, Next: time.Unix(100, 0),
				Lateness: jobs.Histogram{Count: 6, Sum: 0.5, Buckets: map[float64]uint64{0.001: 5}},
			}}
		},
		Fresh: 5 * time.Second,
	}
}

func get(s *Server, path string) *httptest.ResponseRecorder {
	recorder := httptest.NewRecorder()
	s.server.Handler.ServeHTTP(recorder, httptest.NewRequest(http.MethodGet, path, nil))
	return recorder
}

func TestHealth(t *testing.T) {
	now := time.Now()
	soon, past := now.Add(time.Minute), now.Add(-time.Minute)
	status := func(role election.Role, seen, alive time.Time) election.Status {
		return election.Status{Role: role, SeenAt: seen, AliveUntil: alive}
	}
	for name, test := range map[string]struct {
		status                       election.Status
		live, ready, leader, standby bool
	}{
		"before the first contact": {election.Status{Role: election.Outside}, true, false, false, false},
		"leader":                   {status(election.Leader, now, soon), true, true, true, false},
		"standby":                  {status(election.Standby, now, soon), true, true, false, true},
		"standby, silent database": {status(election.Standby, past, soon), true, false, false, true},
		"hung":                     {status(election.Standby, now, past), false, true, false, true},
		"has lost":                 {status(election.Outside, now, soon), true, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			s, status := setup(t)
			*status = test.status
			for path, want := range map[string]bool{
				"/livez": test.live, "/readyz": test.ready, "/leader": test.leader, "/standby": test.standby,
			} {
				response := get(s, path)
				got := response.Code == http.StatusOK
				if got != want || !want && response.Code != http.StatusServiceUnavailable {
					t.Errorf("%s: %d %s", path, response.Code, response.Body)
				}
			}
		})
	}
}

func TestStatus(t *testing.T) {
	s, status := setup(t)
	since := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	*status = election.Status{
		Election: "main", Role: election.Standby, Term: election.Term{Timeline: 1, Number: 7},
		Holder: "other/1", Address: "http://other", Since: since,
	}
	var body map[string]any
	if err := json.Unmarshal(get(s, "/v1/status").Body.Bytes(), &body); err != nil {
		t.Fatal(err)
	}
	for key, want := range map[string]any{
		"election": "main", "role": "standby", "term": 7.0,
		"holder": "other/1", "address": "http://other", "since": "2026-01-02T03:04:05Z",
	} {
		if body[key] != want {
			t.Errorf("%s = %v, want %v", key, body[key], want)
		}
	}
	if build, _ := body["build"].(map[string]any); build["version"] != "v1" {
		t.Errorf("build = %v", body["build"])
	}
}

func TestMetrics(t *testing.T) {
	listening := &listener.Stats{
		Connected: true, Channels: 2, Subscriptions: 3, Received: 9, Dropped: 4, Reconnects: 1,
		ProbeRoundTrip: 5 * time.Millisecond, QueueUsage: 0.25,
	}
	s, status := serving(t, listening)
	status.Role = election.Leader
	text := get(s, "/metrics").Body.String()
	for _, line := range []string{
		`leader_election_master_status{name="main"} 1`,
		`pgsolo_handler_handled_total{handler="h"} 3`,
		`pgsolo_log_appended_total{name="main"} 17`,
		`pgsolo_log_blocked_seconds{by="app psql 5",name="main"} 20`,
		`pgsolo_handler_failed_total{handler="h"} 2`,
		`pgsolo_handler_retried_total{handler="h"} 6`,
		`pgsolo_handler_dead_total{handler="h"} 1`,
		`pgsolo_handler_filtered_total{handler="h"} 7`,
		`pgsolo_handler_in_flight{handler="h"} 4`,
		`pgsolo_handler_lag_events{handler="h"} 8`,
		`pgsolo_handler_oldest_age_seconds{handler="h"} 1.5`,
		`pgsolo_handler_duration_seconds_bucket{handler="h",le="0.001"} 2`,
		`pgsolo_handler_duration_seconds_bucket{handler="h",le="+Inf"} 5`,
		`pgsolo_handler_duration_seconds_sum{handler="h"} 0.25`,
		`pgsolo_handler_duration_seconds_count{handler="plain"} 0`,
		`pgsolo_handler_batch_events_bucket{handler="h",le="10"} 2`,
		`pgsolo_handler_breaker_open{handler="h"} 1`,
		`pgsolo_handler_breaker_open{handler="plain"} 0`,
		`pgsolo_handler_breaker_pauses_total{handler="h"} 3`,
		`pgsolo_cron_ticks_total{job="c",outcome="ok"} 5`,
		`pgsolo_cron_ticks_total{job="c",outcome="missed"} 2`,
		`pgsolo_cron_ticks_total{job="c",outcome="replaced"} 3`,
		`pgsolo_cron_started_total{job="c"} 9`,
		`pgsolo_cron_retried_total{job="c"} 1`,
		`pgsolo_cron_lateness_seconds_bucket{job="c",le="0.001"} 5`,
		`pgsolo_cron_lateness_seconds_count{job="c"} 6`,
		`pgsolo_cron_running{job="c"} 2`,
		`pgsolo_cron_waiting{job="c"} 4`,
		`pgsolo_cron_paused{job="c"} 1`,
		`pgsolo_listener_connected 1`,
		`pgsolo_listener_channels 2`,
		`pgsolo_listener_subscriptions 3`,
		`pgsolo_listener_received_total 9`,
		`pgsolo_listener_dropped_total 4`,
		`pgsolo_listener_reconnects_total 1`,
		`pgsolo_listener_probe_round_trip_seconds 0.005`,
		`pgsolo_listener_queue_usage_ratio 0.25`,
		`pgsolo_election_lost_total{cause="silence",name="main"} 2`,
		`pgsolo_election_takeovers_total{name="main",previous="fenced"} 6`,
		`pgsolo_build_info{go="go1",revision="",version="v1"} 1`,
	} {
		if !strings.Contains(text, line+"\n") {
			t.Errorf("no line %s", line)
		}
	}
	if strings.Contains(text, `pgsolo_handler_batch_events_count{handler="plain"}`) {
		t.Error("a handler without transactions has batches")
	}
	if strings.Contains(text, "cron_last_success") {
		t.Error("a job that never succeeded has a time of success")
	}
	*listening = listener.Stats{}
	text = get(s, "/metrics").Body.String()
	if strings.Contains(text, "probe_round_trip") || strings.Contains(text, "queue_usage") {
		t.Error("before the first probe there is something of one")
	}
}

func TestServeAndShutdown(t *testing.T) {
	s, _ := setup(t)
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(socket) }()
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}, Timeout: 10 * time.Second}
	response, err := client.Get("http://" + socket.Addr().String() + "/livez")
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	s.Shutdown()
	if err := <-served; err != nil {
		t.Error(err)
	}
}

// The package's documentation lists just what is served.
func TestDocumentationNamesEveryPath(t *testing.T) {
	doc, err := os.ReadFile("doc.go")
	if err != nil {
		t.Fatal(err)
	}
	s, _ := setup(t)
	documented := 0
	for _, line := range strings.Split(string(doc), "\n") {
		path, ok := strings.CutPrefix(line, "//\t")
		if !ok {
			continue
		}
		path, _, _ = strings.Cut(path, " ")
		if code := get(s, path).Code; code == http.StatusNotFound {
			t.Errorf("%s is documented and not served", path)
		}
		documented++
	}
	if documented < 6 {
		t.Errorf("found only %d paths in doc.go", documented)
	}
}

// The README names each metric, in a paragraph that has the part before the backquotes or the name in full.
func TestREADMENamesEveryMetric(t *testing.T) {
	readme, err := os.ReadFile("../../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	paragraphs := strings.Split(string(readme), "\n\n")
	named := func(name string) bool {
		if strings.Contains(string(readme), "`"+name) {
			return true
		}
		for i, c := range name {
			for _, paragraph := range paragraphs {
				if c == '_' && strings.Contains(paragraph, "`"+name[:i+1]) &&
					(strings.Contains(paragraph, "`"+name[i+1:]+"`") || strings.Contains(paragraph, "`"+name[i:]+"`")) {
					return true
				}
			}
		}
		return false
	}
	names := slices.Concat(
		electionMetrics.names(), handlerMetrics.names(), cronMetrics.names(), buildMetrics.names(),
	)
	for _, name := range names {
		if !named(name) {
			t.Errorf("the README does not name %s", name)
		}
	}
	if len(names) < 30 {
		t.Errorf("the tables have only %d metrics", len(names))
	}
}

func (t *table[S]) names() (all []string) {
	for _, m := range t.metrics {
		all = append(all, m.name)
	}
	return all
}

// A clock that is not right keeps no replica from being ready, and is said where people look.
func TestClockIsNamed(t *testing.T) {
	server, status := setup(t)
	*status = election.Status{Election: "main", Role: election.Leader, SeenAt: time.Now(), ClockAhead: time.Hour}
	const warning = `this machine's clock is 1h0m0s ahead of the database's`
	for path, want := range map[string]string{
		"/readyz": "ok\nelection \"main\": " + warning, "/v1/status": warning,
		"/metrics": `pgsolo_clock_ahead_seconds{name="main"} 3600`,
	} {
		answer := get(server, path)
		if answer.Code != http.StatusOK || !strings.Contains(answer.Body.String(), want) {
			t.Errorf("%s: %d, want %q in\n%s", path, answer.Code, want, answer.Body)
		}
	}
	status.ClockAhead = -time.Second
	if body := get(server, "/readyz").Body.String(); body != "ok\n" {
		t.Errorf("/readyz: %q", body)
	}
}
