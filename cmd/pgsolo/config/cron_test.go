package config

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

func TestCronValues(t *testing.T) {
	plain := cron.Job{Name: "c", Schedules: []string{"@daily"}}.WithDefaults()
	with := func(change func(*cron.Job)) cron.Job {
		changed := plain
		change(&changed)
		return changed
	}
	for source, want := range map[string]cron.Job{
		``:                              plain,
		`enabled = true`:                plain,
		`enabled = env("ABSENT", "no")`: {}, // refused
		`enabled = false`:               with(func(c *cron.Job) { c.Disabled = true }),
		`jitter = "24h"`:                with(func(c *cron.Job) { c.Jitter = 24 * time.Hour }), // the distance itself
		`missed = "skip"`:               with(func(c *cron.Job) { c.Missed = cron.MissedSkip }),
		"missed = \"all\"\nmax_catch_up = 5": with(func(c *cron.Job) {
			c.Missed, c.MaxCatchUp = cron.MissedAll, 5
		}),
		`starting_deadline = "5m"`: with(func(c *cron.Job) { c.StartingDeadline = 5 * time.Minute }),
		`overlap = "queue"`:        with(func(c *cron.Job) { c.Overlap = cron.OverlapQueue }),
		`overlap = "replace"`:      with(func(c *cron.Job) { c.Overlap = cron.OverlapReplace }),
		`overlap = "allow"`:        with(func(c *cron.Job) { c.Overlap = cron.OverlapAllow }),
		`on_interrupt = "retry"`:   with(func(c *cron.Job) { c.OnInterrupt = cron.InterruptRetry }),
		`timeout = "5m"`:           with(func(c *cron.Job) { c.Timeout = 5 * time.Minute }),
		`retry {}`:                 with(func(c *cron.Job) { c.Retry.Attempts = 10 }),
		"retry {\nattempts = 3\njitter = 0\n}": with(func(c *cron.Job) {
			c.Retry.Attempts, c.Retry.Jitter = 3, -1
		}),
		`history {}`:                           plain,
		`history { runs = 1 }`:                 with(func(c *cron.Job) { c.History.Runs = 1 }),
		`history { runs = 1000000 }`:           with(func(c *cron.Job) { c.History.Runs = 1_000_000 }),
		`history { failed_max_age = "1h" }`:    with(func(c *cron.Job) { c.History.FailedMaxAge = time.Hour }),
		`history { failed_runs = "7" }`:        with(func(c *cron.Job) { c.History.FailedRuns = 7 }),
		`history { failed_runs = "unlimited"}`: with(func(c *cron.Job) { c.History.FailedRuns = -1 }),
		`history { max_age = env("ABSENT", "unlimited") }`: with(func(c *cron.Job) {
			c.History.MaxAge = -1
		}),
	} {
		config, err := Parse("config.hcl", []byte(cronOf("@daily", source)), testEnv)
		if want.Name == "" {
			if err == nil {
				t.Errorf("%s is accepted", source)
			}
			continue
		}
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if diff := cmp.Diff(want, config.Elections[0].Crons[0].Job, compareOptions()...); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
		mustRun(t, config)
	}
}

// cronOf is a configuration with one job.
func cronOf(schedule, arguments string) string {
	return "postgres { url = env(\"DATABASE_URL\") }\ncron \"c\" {\nschedule = \"" + schedule + "\"\n" + arguments +
		"\nexec { command = [\"/bin/ls\"] }\n}\n"
}

func TestScheduleForms(t *testing.T) {
	for source, want := range map[string][]string{
		`"0 6 * * mon-fri"`:           {"0 6 * * mon-fri"},
		`["0 6 * * *", "@every 90s"]`: {"0 6 * * *", "@every 90s"},
		`env("ABSENT", "@hourly")`:    {"@hourly"},
		`[for h in [6, 18] : "0 ${h} * * *"]`: {
			"0 6 * * *", "0 18 * * *",
		},
	} {
		config := parse(t, "cron \"c\" {\nschedule = "+source+"\nexec { command = [\"/bin/ls\"] }\n}")
		if diff := cmp.Diff(want, config.Elections[0].Crons[0].Schedules); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
		mustRun(t, config)
	}
}

func TestCronsKeepTheOrderOfTheFile(t *testing.T) {
	job := func(name, election string) string {
		return "cron \"" + name + "\" {\nschedule = \"@daily\"\nelection = \"" + election +
			"\"\nexec { command = [\"/bin/ls\"] }\n}\n"
	}
	config := parse(t, "election \"a\" {}\nelection \"b\" {}\n"+job("z", "b")+job("y", "a")+job("x", "b"))
	var got []string
	for _, c := range config.Crons() {
		got = append(got, c.Name)
	}
	if diff := cmp.Diff([]string{"z", "y", "x"}, got); diff != "" {
		t.Errorf("jobs (-want +got):\n%s", diff)
	}
}

// FuzzSchedulePlace requires that what is underlined of a schedule lies within it, and is what the parser refuses.
func FuzzSchedulePlace(f *testing.F) {
	for _, seed := range []string{
		"61 * * * *", "* * * 13 *", "0 6 é 13 *", "", "@dayly", "TZ=UTC @daily", "@every 1d", "\u212a * * * *", "1 " +
			"2 3 İ=ü 5",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, expr string) {
		if strings.ContainsAny(expr, "\"\\\r\n$%") {
			t.Skip("not what it stands for in a string of the file")
		}
		src := cronOf(expr, "")
		config, err := Parse("config.hcl", []byte(src), testEnv)
		if err == nil {
			if _, err := schedule.ParseAll(config.Elections[0].Crons[0].Schedules, time.UTC); err != nil {
				t.Errorf("accepted %q: %v", expr, err)
			}
			return
		}
		wrong, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("error %v is not an *Error", err)
		}
		at := wrong.First().Subject
		if wrong.First().Summary != "Invalid schedule" {
			return // no string at all
		}
		begin := strings.Index(src, "schedule = ") + len("schedule = ")
		underlined := src[at.Start.Byte:at.End.Byte]
		if at.Start.Byte < begin || at.End.Byte > begin+len(expr)+2 || at.Start.Line != 3 || underlined == "" {
			t.Fatalf("%q: underlined %q at %v", expr, underlined, at)
		}
		_, err = schedule.Parse(expr, time.UTC)
		refused, ok := errors.AsType[*schedule.Error](err)
		if ok && underlined != `"`+expr+`"` && underlined != expr[refused.Start:refused.End] {
			t.Errorf("%q: underlined %q, want %q", expr, underlined, expr[refused.Start:refused.End])
		}
	})
}
