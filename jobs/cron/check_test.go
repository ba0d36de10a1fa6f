package cron

import (
	"context"
	"testing"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs"
)

func TestNewJobNamesTheField(t *testing.T) {
	run := func(context.Context, Tick) error { return nil }
	daily := []string{"@daily"}
	for _, test := range []struct {
		cron Job
		want string
	}{
		{Job{Schedules: daily, Run: run}, `cron "": Name is required`},
		{Job{Name: "x", Schedules: daily}, `cron "x": Run is required`},
		{Job{Name: "x", Run: run}, `cron "x": Schedules is required`},
		{Job{Name: "x", Run: run, Schedules: daily, Timeout: -1}, `cron "x": Timeout -1ns is negative`},
		{Job{Name: "x", Run: run, Schedules: daily, Jitter: -1}, `cron "x": Jitter -1ns is negative`},
		{Job{Name: "x", Run: run, Schedules: daily, MaxCatchUp: -1}, `cron "x": MaxCatchUp -1 is negative`},
		{Job{Name: "x", Run: run, Schedules: daily, StartingDeadline: -1},
			`cron "x": StartingDeadline -1ns is negative`},
		{Job{Name: "x", Run: run, Schedules: daily, Missed: "some"}, `cron "x": Missed "some": want skip, once or all`},
		{Job{Name: "x", Run: run, Schedules: daily, Overlap: "some"},
			`cron "x": Overlap "some": want skip, queue, replace or allow`},
		{Job{Name: "x", Run: run, Schedules: daily, OnInterrupt: "some"},
			`cron "x": OnInterrupt "some": want abandon or retry`},
		{Job{Name: "x", Run: run, Schedules: daily, Retry: jobs.Retry{Attempts: -1}},
			`cron "x": Retry.Attempts -1 is negative`},
	} {
		if _, err := newJob(test.cron, hclog.NewNullLogger()); err == nil || err.Error() != test.want {
			t.Errorf("got %v, want %s", err, test.want)
		}
	}
}
