//go:build unix

package exec

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

func TestEnviron(t *testing.T) {
	inherited := []string{"PATH=/bin", "DATABASE_URL=postgres://db", "PGSOLO_TOKEN=hunter2",
		"PGSOLO_KEY=of an outer command", "REGION=us"}
	event := eventlog.Event{
		Handler: "receipt", ID: 7, Topic: "orders", Key: "k", CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
		Attempt: 2, Term: 9,
		Headers: map[string]string{"x-tenant": "acme", "X-Tenant": "first", "größe": "5"},
	}
	tick := cron.Tick{Job: "report", ScheduledAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Attempt: 1, Term: 9}

	for name, test := range map[string]struct {
		env        map[string]string
		invocation jobs.Invocation
		want       []string
	}{
		"event": {
			env:        map[string]string{"REGION": "eu"},
			invocation: event.Invocation(),
			want: []string{
				"PATH=/bin", "DATABASE_URL=postgres://db", "REGION=us", "REGION=eu",
				"PGSOLO_ATTEMPT=2", "PGSOLO_CREATED_AT=2026-01-02T03:04:05Z", "PGSOLO_EVENT_ID=7",
				"PGSOLO_HEADER_GR____E=5", "PGSOLO_HEADER_X_TENANT=first",
				"PGSOLO_IDEMPOTENCY_KEY=receipt/7", "PGSOLO_KEY=k", "PGSOLO_NAME=receipt", "PGSOLO_TERM=9",
				"PGSOLO_TOPIC=orders",
			},
		},
		"tick": {
			env:        map[string]string{"PGSOLO_TOKEN": "on purpose"},
			invocation: tick.Invocation(),
			want: []string{
				"PATH=/bin", "DATABASE_URL=postgres://db", "REGION=us", "PGSOLO_TOKEN=on purpose",
				"PGSOLO_ATTEMPT=1", "PGSOLO_CATCH_UP=false", "PGSOLO_IDEMPOTENCY_KEY=report/2026-01-02T03:04:05Z",
				"PGSOLO_MANUAL=false",
				"PGSOLO_NAME=report", "PGSOLO_SCHEDULED_AT=2026-01-02T03:04:05Z", "PGSOLO_TERM=9",
			},
		},
		"triggered run": {
			invocation: cron.Tick{
				Job: "report", ScheduledAt: time.Date(2026, 1, 2, 3, 4, 5, 6000, time.FixedZone("CET", 3600)),
				Manual: true, CatchUp: true, Attempt: 3, Term: 9,
			}.Invocation(),
			want: []string{
				"PATH=/bin", "DATABASE_URL=postgres://db", "REGION=us",
				"PGSOLO_ATTEMPT=3", "PGSOLO_CATCH_UP=true", "PGSOLO_IDEMPOTENCY_KEY=report/2026-01-02T02:04:05.000006Z",
				"PGSOLO_MANUAL=true",
				"PGSOLO_NAME=report", "PGSOLO_SCHEDULED_AT=2026-01-02T03:04:05.000006+01:00", "PGSOLO_TERM=9",
			},
		},
		"plain NOTIFY": {
			invocation: eventlog.Event{Handler: "bridge", Channel: "cache", Attempt: 1}.Invocation(),
			want: []string{
				"PATH=/bin", "DATABASE_URL=postgres://db", "REGION=us", "PGSOLO_ATTEMPT=1", "PGSOLO_CHANNEL=cache",
				"PGSOLO_CREATED_AT=0001-01-01T00:00:00Z", "PGSOLO_NAME=bridge", "PGSOLO_TERM=0",
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := Command{Env: test.env}.environ(append([]string(nil), inherited...), test.invocation)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("environment (-want +got):\n%s", diff)
			}
		})
	}
}

func TestEnvironReachesProgram(t *testing.T) {
	t.Setenv("PGSOLO_TOKEN", "hunter2")
	command := sh(`echo "$REGION $PGSOLO_NAME ${PGSOLO_TOKEN-withheld}"; exit 1`)
	command.Env = map[string]string{"REGION": "eu"}
	err := command.Run(t.Context(), jobs.Invocation{Name: "report"})
	if err == nil || !strings.HasSuffix(err.Error(), ": eu report withheld") {
		t.Errorf("Run = %v, want the environment in the output", err)
	}
}

func TestEnvironRefusesNUL(t *testing.T) {
	invocation := jobs.Invocation{Headers: map[string]string{"x": "secret\x00"}}
	_, err := Command{}.environ(nil, invocation)
	if err == nil || !strings.Contains(err.Error(), "PGSOLO_HEADER_X") || strings.Contains(err.Error(), "secret") {
		t.Errorf("environ = %v, want an error that names PGSOLO_HEADER_X but not its value", err)
	}
}
