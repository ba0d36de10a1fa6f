package config

import (
	"os"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

const reference = "../../../config.hcl"

// compareOptions leaves out what cannot be compared.
func compareOptions() []cmp.Option {
	return []cmp.Option{
		cmpopts.IgnoreUnexported(Config{}, Handler{}, Cron{}),
		cmpopts.IgnoreFields(eventlog.Handler{}, "Handle", "HandleTx", "When", "Revision"),
		cmpopts.IgnoreFields(cron.Job{}, "Run", "Revision"),
		cmpopts.IgnoreFields(Election{}, "Fingerprint"),
		cmp.Comparer(func(a, b *time.Location) bool { return a.String() == b.String() }),
	}
}

// A pod has an address of either family.
func TestReferenceWithIPv6(t *testing.T) {
	for ip, want := range map[string]string{
		"fd00::1": "http://[fd00::1]:8080", "[fd00::1]": "http://[fd00::1]:8080", "10.0.0.1": "http://10.0.0.1:8080",
	} {
		of, err := Load(reference, func(name string) (string, bool) {
			if name == "POD_IP" {
				return ip, true
			}
			return testEnv(name)
		})
		if err != nil {
			t.Errorf("%s: %v", ip, err)
		} else if of.HTTP.Advertise != want {
			t.Errorf("%s: advertise %s, want %s", ip, of.HTTP.Advertise, want)
		}
	}
}

func TestReferenceDecodes(t *testing.T) {
	got, err := Load(reference, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	berlin, err := time.LoadLocation("Europe/Berlin")
	if err != nil {
		t.Fatal(err)
	}
	retry := jobs.Retry{Attempts: 10, Backoff: time.Second, MaxBackoff: time.Hour, Jitter: 0.1}
	once := retry
	once.Attempts = 1
	history := cron.History{Runs: 100, MaxAge: 720 * time.Hour, FailedRuns: 100, FailedMaxAge: 2160 * time.Hour}
	want := &Config{
		Postgres: Postgres{
			URL: "postgres://app:hunter2@localhost:5432/app", Schema: "pgsolo", Notify: true,
			ForgetAfter: 24 * time.Hour, MaxSessions: 20,
		},
		HTTP: HTTP{Listen: ":8080", Advertise: "http://127.0.0.1:8080", Hosts: []string{}},
		Log:  Log{Level: "info", Format: "text"},
		Topics: []eventlog.Topic{{Name: "orders", Retention: 72 * time.Hour},
			{Name: "*", Retention: 24 * time.Hour, MaxPayload: 64 << 20}},
		Elections: []*Election{{
			Name: "main", Lease: 5 * time.Second, PollInterval: 900 * time.Millisecond, Drain: 20 * time.Second,
			NeedsSessions: true,
			Handlers: []Handler{
				{Handler: eventlog.Handler{
					Name: "print", Topic: "orders", Concurrency: 1, Timeout: 30 * time.Second, Retry: retry,
					Start: eventlog.StartEarliest, Order: eventlog.OrderNone, OnDead: eventlog.OnDeadContinue,
				}},
				{Handler: eventlog.Handler{
					Name: "receipt", Topic: "orders", Concurrency: 8, Timeout: 30 * time.Second, Retry: retry,
					Start: eventlog.StartEarliest, Order: eventlog.OrderKey, OnDead: eventlog.OnDeadBlockKey,
					Rate:    jobs.Rate{Events: 100, Per: time.Second},
					Breaker: jobs.Breaker{Failures: 5, Pause: time.Second, MaxPause: time.Minute},
				}},
				{Handler: eventlog.Handler{
					Name: "totals", Topic: "orders", Concurrency: 4, Timeout: 30 * time.Second, Retry: retry,
					Start: eventlog.StartEarliest, Order: eventlog.OrderNone, OnDead: eventlog.OnDeadContinue,
				}, InTransaction: true},
				{Handler: eventlog.Handler{Name: "cache", Channel: "cache_invalidate", Concurrency: 1,
					Timeout: 30 * time.Second}},
			},
			Crons: []Cron{
				{Job: cron.Job{
					Name: "heartbeat", Schedules: []string{"*/5 * * * *"}, Location: time.UTC, Timeout: time.Hour,
					Missed: cron.MissedOnce, StartingDeadline: time.Hour, MaxCatchUp: 1000,
					Overlap: cron.OverlapSkip, OnInterrupt: cron.InterruptAbandon, Retry: once, History: history,
				}},
				{Job: cron.Job{
					Name: "purge_sessions", Schedules: []string{"*/5 * * * *"}, Location: time.UTC,
					Timeout: 2 * time.Minute,
					Missed:  cron.MissedOnce, StartingDeadline: time.Hour, MaxCatchUp: 1000,
					Overlap: cron.OverlapSkip, OnInterrupt: cron.InterruptAbandon, Retry: once, History: history,
				}},
				{Job: cron.Job{
					Name: "report", Schedules: []string{"0 6 * * mon-fri", "0 9 * * sat,sun"}, Location: berlin,
					Jitter: 10 * time.Minute, Timeout: 10 * time.Minute,
					Missed: cron.MissedAll, StartingDeadline: time.Hour, MaxCatchUp: 1000,
					Overlap: cron.OverlapSkip, OnInterrupt: cron.InterruptAbandon, Retry: retry, History: history,
				}},
			},
		}},
	}
	if diff := cmp.Diff(want, got, compareOptions()...); diff != "" {
		t.Errorf("decoded reference (-want +got):\n%s", diff)
	}
}

// TestReferenceStatesDefaults compares the reference with a file that sets nothing, so that a default which changes is
// noticed.
func TestReferenceStatesDefaults(t *testing.T) {
	full, err := Load(reference, testEnv)
	if err != nil {
		t.Fatal(err)
	}
	const bare = `
		postgres { url = env("DATABASE_URL") }
		topic "orders" {}
		handler "print" {
			topic = "orders"
			exec { command = ["/bin/ls"] }
		}
		cron "heartbeat" {
			schedule = "*/5 * * * *"
			exec { command = ["/bin/ls"] }
		}`
	least, err := Parse("config.hcl", []byte(bare), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	// Two defaults are made later, none is any, and topics have none but for ever.
	full.HTTP.Advertise, full.HTTP.Hosts, full.Postgres.MaxSessions, full.Topics = "", nil, 0, least.Topics
	main := full.Elections[0]
	main.Handlers, main.Crons, main.NeedsSessions = main.Handlers[:1], main.Crons[:1], false
	if diff := cmp.Diff(full, least, compareOptions()...); diff != "" {
		t.Errorf("defaults (-reference +code):\n%s", diff)
	}
}

// TestReferenceIsComplete goes through the grammar and finds each block and argument in the file.
func TestReferenceIsComplete(t *testing.T) {
	src, err := os.ReadFile(reference)
	if err != nil {
		t.Fatal(err)
	}
	file, diags := hclsyntax.ParseConfig(src, "config.hcl", hcl.InitialPos)
	if diags.HasErrors() {
		t.Fatal(diags)
	}
	written := map[string]bool{}
	collect(written, "", file.Body.(*hclsyntax.Body))

	doc := newDocument("config.hcl", testEnv)
	count := 0
	var visit func(path string, grammar block.Body)
	visit = func(path string, grammar block.Body) {
		for _, argument := range grammar.Arguments {
			count++
			if !written[path+argument.Name] {
				t.Errorf("%s%s is not in config.hcl", path, argument.Name)
			}
		}
		for _, inner := range grammar.Blocks {
			if !written[path+inner.Kind+"."] {
				t.Errorf("%s%s {} is not in config.hcl", path, inner.Kind)
			}
			if path == "cron." && inner.Kind == "webhook" {
				continue // shown for a handler
			}
			visit(path+inner.Kind+".", inner.Open(&hclsyntax.Block{Type: inner.Kind, Labels: []string{"x"}}))
		}
	}
	written["cron.webhook."] = true
	visit("", doc.grammar())
	if count < 30 {
		t.Errorf("the grammar has only %d arguments: the walk missed some", count)
	}
}

func collect(written map[string]bool, path string, in *hclsyntax.Body) {
	for name := range in.Attributes {
		written[path+name] = true
	}
	for _, block := range in.Blocks {
		written[path+block.Type+"."] = true
		collect(written, path+block.Type+".", block.Body)
	}
	// An action is the same in a cron job as in a handler.
	if path == "cron." {
		written["cron.exec.env"], written["cron.exec.dir"] = true, true
	}
}
