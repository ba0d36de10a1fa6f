package main

import (
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// dateOfNow is what takes the monotonic reading from the present time, or counts from a time without one: such a
// difference follows the wall clock when it is set, and is no elapsed time.
var dateOfNow = regexp.MustCompile(`time\.Now\(\)\.(Unix\w*|Round)\(|time\.(Since|Until)\(time\.Unix`)

// readDates are the files that do so on purpose, and why.
var readDates = map[string]string{
	"jobs/cron/scheduler.go":         "schedules follow the wall clock",
	"cmd/pgsolo/bench/competitor.go": "another process reads it",
}

func TestElapsedTimeIsMonotonic(t *testing.T) {
	for _, path := range files(t, ".go") {
		name, err := filepath.Rel("../..", path)
		if err != nil {
			t.Fatal(err)
		}
		if strings.HasSuffix(path, "_test.go") || readDates[filepath.ToSlash(name)] != "" {
			continue
		}
		for n, line := range strings.Split(read(t, path), "\n") {
			if dateOfNow.MatchString(line) {
				t.Errorf("%s:%d goes by the wall clock: %s", name, n+1, strings.TrimSpace(line))
			}
		}
	}
}
