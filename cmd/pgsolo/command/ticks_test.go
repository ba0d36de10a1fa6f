package command

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
)

const somePostgres = "postgres {\n  url = \"postgres://u@127.0.0.1:1/d\"\n}\n"

// ticksOf is what is shown of the jobs of a configuration, after an instant.
func ticksOf(t *testing.T, after, crons string) string {
	t.Helper()
	cfg, err := config.Parse("config.hcl", []byte(somePostgres+crons), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	at, err := time.Parse(time.RFC3339, after)
	if err != nil {
		t.Fatal(err)
	}
	var out strings.Builder
	if err := writeTicks(&out, cfg.Crons(), at); err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(out.String()) {
		if len(line) > lineWidth+1 || strings.HasSuffix(line, " \n") {
			t.Errorf("%d columns, or spaces at the end: %q", len(line)-1, line)
		}
	}
	return out.String()
}

func oneJob(name, arguments string) string {
	return fmt.Sprintf("cron %q {\n%s\nexec {\ncommand = [\"/bin/ls\"]\n}\n}\n", name, arguments)
}

func TestTicks(t *testing.T) {
	berlin := "\ntime_zone = \"Europe/Berlin\""
	for name, test := range map[string]struct {
		after, job, want string
	}{
		"clocks put forward": {"2026-03-28T00:00:00Z", oneJob("backup", `schedule = "30 2 * * *"`+berlin), `
cron "backup": "30 2 * * *", Europe/Berlin
  Sat 2026-03-28 02:30 CET
  Sun 2026-03-29 03:00 CEST  moved: the clocks skip 02:30
  Mon 2026-03-30 02:30 CEST
  Tue 2026-03-31 02:30 CEST
  Wed 2026-04-01 02:30 CEST
`},
		"clocks put back": {"2026-10-24T22:00:00Z", oneJob("backup", `schedule = "30 2 * * *"`+berlin), `
cron "backup": "30 2 * * *", Europe/Berlin
  Sun 2026-10-25 02:30 CEST  once: the clocks show 02:30 twice
  Mon 2026-10-26 02:30 CET
  Tue 2026-10-27 02:30 CET
  Wed 2026-10-28 02:30 CET
  Thu 2026-10-29 02:30 CET
`},
		"wildcard hours, put back": {"2026-10-25T00:00:00Z", oneJob("poll", `schedule = "30 * * * *"`+berlin), `
cron "poll": "30 * * * *", Europe/Berlin
  Sun 2026-10-25 02:30 CEST
  Sun 2026-10-25 02:30 CET
  Sun 2026-10-25 03:30 CET
  Sun 2026-10-25 04:30 CET
  Sun 2026-10-25 05:30 CET
`},
		"half an hour, a zone without a name": {
			"2026-10-03T00:00:00Z",
			oneJob("howe", "schedule = [\"10 2 * * *\", \"40 2 * * *\"]\ntime_zone = \"Australia/Lord_Howe\""), `
cron "howe": "10 2 * * *", "40 2 * * *", Australia/Lord_Howe
  Sun 2026-10-04 02:30 +11  moved: the clocks skip 02:10
  Sun 2026-10-04 02:40 +11
  Mon 2026-10-05 02:10 +11
  Mon 2026-10-05 02:40 +11
  Tue 2026-10-06 02:10 +11
`},
		"a skipped day": {
			"2011-12-29T00:00:00Z", oneJob("apia", "schedule = \"0 12 * * *\"\ntime_zone = \"Pacific/Apia\""), `
cron "apia": "0 12 * * *", Pacific/Apia
  Thu 2011-12-29 12:00 -10
  Sat 2011-12-31 00:00 +14  moved: the clocks skip 2011-12-30 12:00
  Sat 2011-12-31 12:00 +14
  Sun 2012-01-01 12:00 +14
  Mon 2012-01-02 12:00 +14
`},
		"seconds": {"2026-01-01T00:00:00Z", oneJob("quick", `schedule = "@every 45s"`), `
cron "quick": "@every 45s", UTC
  Thu 2026-01-01 00:00:45 UTC
  Thu 2026-01-01 00:01:30 UTC
  Thu 2026-01-01 00:02:15 UTC
  Thu 2026-01-01 00:03:00 UTC
  Thu 2026-01-01 00:03:45 UTC
`},
		"long header, jitter": {
			"2026-01-01T00:00:00Z", oneJob("a-name-with-which-the-line-ends",
				"schedule = \"0 6 1 jan,apr,jul,oct *\"\njitter = \"2h\""+berlin), `
cron "a-name-with-which-the-line-ends": "0 6 1 jan,apr,jul,oct *",
    Europe/Berlin, each start 24m4s later (jitter 2h)
  Thu 2026-01-01 06:00 CET
  Wed 2026-04-01 06:00 CEST
  Wed 2026-07-01 06:00 CEST
  Thu 2026-10-01 06:00 CEST
  Fri 2027-01-01 06:00 CET
`},
		"disabled": {"2026-01-01T00:00:00Z", oneJob("off", "schedule = \"@daily\"\nenabled = false"), `
cron "off": "@daily", UTC
  disabled: it runs only when it is triggered
`},
	} {
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(test.want, ticksOf(t, test.after, test.job)); diff != "" {
				t.Errorf("ticks (-want +got):\n%s", diff)
			}
		})
	}
}

func TestTicksKeepTheOrderOfTheFile(t *testing.T) {
	daily := "schedule = \"@daily\"\nelection = "
	text := ticksOf(t, "2026-01-01T00:00:00Z", "election \"a\" {\n}\nelection \"b\" {\n}\n"+
		oneJob("first", daily+`"b"`)+oneJob("second", daily+`"a"`)+oneJob("third", daily+`"b"`))
	first, second := strings.Index(text, `"first"`), strings.Index(text, `"second"`)
	third := strings.Index(text, `"third"`)
	if first < 0 || first > second || second > third {
		t.Errorf("jobs at %d, %d and %d of\n%s", first, second, third, text)
	}
}

func TestWriteTicksFails(t *testing.T) {
	cfg, err := config.Parse("config.hcl", []byte(somePostgres+oneJob("c", `schedule = "@daily"`)), os.LookupEnv)
	if err != nil {
		t.Fatal(err)
	}
	full := errors.New("full")
	if err := writeTicks(failingWriter{full}, cfg.Crons(), time.Now()); !errors.Is(err, full) {
		t.Errorf("error %v, want that of the writer", err)
	}
}

type failingWriter struct{ err error }

func (w failingWriter) Write([]byte) (int, error) { return 0, w.err }

func TestBrief(t *testing.T) {
	for d, want := range map[time.Duration]string{
		0: "0s", 1500 * time.Microsecond: "2ms", 10 * time.Second: "10s", 90*time.Second + 1: "1m30s",
		time.Minute: "1m",
		time.Hour:   "1h", time.Hour + 10*time.Second: "1h0m10s", 10 * time.Hour: "10h",
		100 * time.Minute: "1h40m", 100*time.Minute + time.Second: "1h40m1s",
	} {
		if got := brief(d); got != want {
			t.Errorf("%s is %q, want %q", d, got, want)
		}
	}
}
