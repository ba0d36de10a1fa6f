package e2e

import (
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/fleet"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// secondly is what the jobs below have in common.
const secondly = `
  schedule = "* * * * * *"
  missed   = "all"
  history {
    runs        = "unlimited"
    failed_runs = "unlimited"
  }`

const killedCrons = `
cron "abandon" { %[1]s
  overlap = "allow"
  webhook { url = %[2]q }
}
cron "retry" { %[1]s
  overlap      = "queue"
  on_interrupt = "retry"
  webhook { url = %[2]q }
}
cron "queue" { %[1]s
  overlap = "queue"
  webhook { url = %[2]q }
}
cron "flaky" { %[1]s
  overlap = "allow"
  retry {
    attempts = 3
    backoff  = "100ms"
  }
  webhook { url = %[2]q }
}
cron "exec" { %[1]s
  exec {
    command = [
      "/bin/sh", "-c",
      "echo $PGSOLO_SCHEDULED_AT $PGSOLO_ATTEMPT $PGSOLO_TERM $PGSOLO_IDEMPOTENCY_KEY >> %[3]s",
    ]
  }
}`

// Three replicas, and the leader is killed at any moment of a tick's life, again and again, while jobs of several
// policies run each second: every second has one row of each job, and no attempt is started twice. Only what was
// abandoned may not have been started, and what is retried comes to its end. PGSOLO_TEST_KILLS sets the number of
// kills.
func TestKilledLeadersCron(t *testing.T) {
	kills := 8
	if n, err := strconv.Atoi(os.Getenv("PGSOLO_TEST_KILLS")); err == nil {
		kills = n
	}
	t.Parallel()
	w := startWitness(t, answerKilled)
	file := filepath.Join(t.TempDir(), "ran")
	r := startReplicas(t, pgtest.Database(t), fmt.Sprintf(killedCrons, secondly, w.URL, file), 3)
	current, term := r.leader(0)
	for range kills {
		<-time.After(time.Until(killTime())) // which is no wait for anything: any moment will do
		w.Killing(term)
		current.kill()
		r.start()
		current, term = r.leader(term)
	}

	until := r.settled(5)
	outcomes := map[string]map[string]int{}
	rows := map[string]cronRow{} // by idempotency key
	for _, job := range []string{"abandon", "retry", "queue", "flaky", "exec"} {
		outcomes[job] = map[string]int{}
		all := r.rows(job, until)
		checkSeconds(t, all, until)
		for _, row := range all {
			outcomes[job][row.Outcome]++
			rows[row.key()] = row
			if job != "exec" {
				w.check(row)
			}
		}
	}
	t.Logf("%d terms: %v", term, outcomes)
	checkExec(t, file, rows, until)
	w.checkNoOthers(rows, until)
	for job, allowed := range map[string]string{
		"abandon": "ok interrupted", "retry": "ok", "queue": "ok interrupted", "flaky": "ok interrupted",
		"exec": "ok interrupted skipped", // whose policy for overlaps is the default
	} {
		for outcome, n := range outcomes[job] {
			if !strings.Contains(allowed, outcome) {
				t.Errorf("%d ticks of job %q are %s", n, job, outcome)
			}
		}
		// Of the two, several may run at a time.
		if n := outcomes[job]["interrupted"]; n > kills && job != "flaky" && job != "abandon" {
			t.Errorf("%d ticks of job %q were interrupted by %d kills", n, job, kills)
		}
	}
}

// killTime is any moment: half of the time one at which ticks are about to start.
func killTime() time.Time {
	now := time.Now()
	if rand.N(2) == 0 {
		return now.Add(rand.N(1200 * time.Millisecond))
	}
	second := now.Truncate(time.Second).Add(time.Second)
	return second.Add(rand.N(60*time.Millisecond) - 10*time.Millisecond)
}

// answerKilled takes as long as the job is to run.
func answerKilled(r *http.Request, c fleet.Call) int {
	takes := time.Duration(0)
	switch {
	case c.Name == "abandon":
		takes = rand.N(50 * time.Millisecond)
	case c.Name == "retry":
		takes = rand.N(300 * time.Millisecond)
	case c.Name == "queue" && c.ScheduledAt.Second()%2 == 0:
		takes = 1500 * time.Millisecond // and so the next tick waits
	case c.Name == "flaky" && c.Attempt == 1:
		return http.StatusServiceUnavailable
	}
	select {
	case <-time.After(takes):
	case <-r.Context().Done():
	}
	return http.StatusOK
}

// checkExec compares the lines of a program with the rows.
func checkExec(t *testing.T, file string, rows map[string]cronRow, until time.Time) {
	t.Helper()
	ran := map[string]bool{}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		var at, key string
		var number int
		var term int64
		if _, err := fmt.Sscan(line, &at, &number, &term, &key); err != nil {
			t.Fatalf("%q: %v", line, err)
		}
		when, err := time.Parse(time.RFC3339Nano, at)
		if err != nil {
			t.Errorf("scheduled time: %v", err)
		}
		if when.After(until) {
			continue
		}
		row := rows[key]
		if ran[key] || row.Job != "exec" || row.Attempt != number || row.Term != term || !row.At.Equal(when) {
			t.Errorf("the program has written %q, before as well: %v, and its row is %+v", line, ran[key], row)
		}
		ran[key] = true
	}
	for key, row := range rows {
		if row.Job == "exec" && row.Outcome == "ok" && !ran[key] {
			t.Errorf("no program ran for %+v", row)
		}
	}
}
