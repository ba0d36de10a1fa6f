package e2e

import (
	"encoding/json"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/bench"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/command"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
)

// figures runs a bench with few samples, which brings its own PostgreSQL, and returns what it found. A machine that
// stalls voids figures, and what is void the bench refuses: then it is run once more.
func figures(t *testing.T, name string) (all []bench.Figure) {
	t.Helper()
	const tries, limit = 3, 3 * time.Minute // of a try that takes some 15 seconds
	var p *process
	for try := 1; ; try++ {
		p = start(t, nil, "bench", name, "--quick", "-n", "2", "-o", "json")
		code := p.exitWithin(limit)
		if code == command.ExitDone {
			break
		}
		if code != command.ExitError || try == tries {
			t.Fatalf("exit code %d, want %d whether or not the goals are met", code, command.ExitDone)
		}
		t.Logf("try %d:\n%s", try, p.log)
	}
	for line := range strings.Lines(p.log.String()) {
		if !strings.HasPrefix(line, "{") { // progress
			continue
		}
		var f bench.Figure
		decoder := json.NewDecoder(strings.NewReader(line))
		decoder.DisallowUnknownFields()
		if err := decoder.Decode(&f); err != nil {
			t.Fatalf("%v in %s", err, line)
		}
		if f.N < 1 || f.Min < 0 || f.Min > f.Median || f.Median > f.P99 || f.P99 > f.Max {
			t.Errorf("out of order: %s", line)
		}
		all = append(all, f)
	}
	return all
}

func names(all []bench.Figure) (names []string) {
	for _, f := range all {
		names = append(names, f.Figure)
	}
	return names
}

func TestBenchElection(t *testing.T) {
	t.Parallel()
	want := []string{
		"standby_connections", "standby_election_connections", "standby_transactions", "standby_xids", "standby_log",
	}
	if _, err := os.Stat("/proc/self/status"); err == nil {
		want = append(want, "standby_memory")
	}
	want = append(want, "kill_to_lead", "kill_to_lead_10_standbys", "kill_to_event",
		"handover_to_lead", "handover_to_event", "freeze_to_lead")
	got := figures(t, "election")
	for _, f := range got {
		switch wantFloor := strings.Contains(f.Figure, "_to_") && f.Figure != "freeze_to_lead"; {
		case wantFloor != (f.Floor != nil && f.Ratio != nil):
			t.Errorf("floor, %v wanted: %+v", wantFloor, f)
		case f.Figure == "freeze_to_lead" && f.Min < 700:
			t.Errorf("a leader was frozen, and another one led before its lease was over: %+v", f)
		}
	}
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

func TestBenchListener(t *testing.T) {
	t.Parallel()
	want := []string{
		"delivery_1_subscriber", "delivery_10_subscribers", "latency", "subscribe_1000", "probe", "idle_transactions",
	}
	if _, err := os.Stat("/proc/self/schedstat"); err == nil {
		want = append(want, "idle_server_cpu")
	}
	want = append(want, "idle_client_cpu")
	got := figures(t, "listener")
	for _, f := range got {
		if f.Floor == nil || f.Ratio == nil || *f.Floor <= 0 || *f.Ratio <= 0 {
			t.Errorf("no floor: %+v", f)
		}
		if f.Figure == "idle_transactions" && (f.Median < 4 || f.Median > 12) { // four probes, each with its delivery
			t.Errorf("not the transactions of the probes: %+v", f)
		}
	}
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

func TestBenchEvents(t *testing.T) {
	t.Parallel()
	withFloor := map[string]bool{
		"backlog_1_handler": true, "backlog_4_handlers": true, "latency_50": true, "latency_50_p99": true,
		"insert_4_connections": true, "insert_32_connections": true,
	}
	want := []string{"idle_leader_transactions", "backlog_1_handler", "backlog_4_handlers", "backlog_allocations"}
	if _, err := os.Stat("/proc/self/status"); err == nil {
		want = append(want, "backlog_memory")
	}
	want = append(want, "latency_50", "latency_50_p99",
		"insert_4_connections", "end_to_end_4_connections", "catch_up_4_connections",
		"insert_32_connections", "end_to_end_32_connections", "catch_up_32_connections")
	got := figures(t, "events")
	for _, f := range got {
		switch {
		case withFloor[f.Figure] != (f.Floor != nil && f.Ratio != nil && *f.Floor > 0 && *f.Ratio > 0):
			t.Errorf("floor, %v wanted: %+v", withFloor[f.Figure], f)
		// It pings, and polls the log each second.
		case f.Figure == "idle_leader_transactions" && (f.Max < 0.5 || f.Max > 20):
			t.Errorf("not the transactions of an idle leader: %+v", f)
		// As many as were inserted.
		case f.Figure == "latency_50" && f.N != 12, strings.HasPrefix(f.Figure, "end_to_end") && f.N < 10:
			t.Errorf("not a sample of each event: %+v", f)
		}
	}
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Errorf("figures (-want +got):\n%s", diff)
	}
}

func TestBenchCron(t *testing.T) {
	t.Parallel()
	withFloor := map[string]bool{
		"cron_burst": true, "cron_burst_last": true, "cron_burst_written": true, "cron_idle": true,
		"cron_lone": true, "cron_lone_p99": true, "cron_takeover": true,
	}
	want := []string{"cron_burst", "cron_burst_last", "cron_burst_written", "cron_idle"}
	if _, err := os.Stat("/proc/self/schedstat"); err == nil {
		want = append(want, "cron_idle_server")
	}
	want = append(want, "cron_timer", "cron_lone", "cron_lone_p99", "cron_lone_beyond", "cron_takeover")
	got := figures(t, "cron")
	if diff := cmp.Diff(want, names(got)); diff != "" {
		t.Fatalf("figures (-want +got):\n%s", diff)
	}
	for _, f := range got {
		hasFloor := f.Floor != nil && f.Ratio != nil && *f.Floor > 0 && *f.Ratio > 0
		switch {
		case withFloor[f.Figure] && !hasFloor:
			t.Errorf("no floor: %+v", f)
		case f.Figure == "cron_burst" && f.N != 1000, f.Figure == "cron_lone" && f.N < 2:
			t.Errorf("not a sample of each start: %+v", f)
		}
	}
	all, last, written := got[0], got[1], got[2]
	if all.Max != last.Max || last.Max > written.Max {
		t.Errorf("all starts, the last one, and the last outcome are out of order: %+v, %+v, %+v", all, last, written)
	}
}

// On a server that it was given, an interrupted bench leaves neither its database nor a session.
func TestInterruptedBenchLeavesNothing(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	conn := pgtest.Connect(t, url)
	p := start(t, nil, "bench", "election", "--quick", "--url", url)
	const selectDatabases = `select count(*) from pg_database where datname like 'pgsolo\_bench\_%'`
	databases := func() (n int) {
		if err := conn.QueryRow(t.Context(), selectDatabases).Scan(&n); err != nil {
			t.Fatal(err)
		}
		return n
	}
	pgtest.Eventually(t, "kills", func() bool { return strings.Contains(p.log.String(), "kill_to_lead") })
	if n := databases(); n != 1 {
		t.Errorf("%d databases of a bench, want 1", n)
	}
	p.signal(os.Interrupt)
	if code := p.exit(); code != command.ExitError {
		t.Errorf("exit code %d, want %d", code, command.ExitError)
	}
	mustContain(t, p.log.String(), "interrupted")
	if n := databases(); n != 0 {
		t.Error("the bench's database is there after it")
	}
}

func TestBenchUsage(t *testing.T) {
	for _, args := range [][]string{
		{"bench", "nothing"}, {"bench", "election", "-n", "0"}, {"bench", "election", "-o", "xml"},
		{"bench", "events", "--events", "0"}, {"bench", "election", "--events", "1"},
	} {
		if code := start(t, nil, args...).exit(); code != command.ExitUsage {
			t.Errorf("%v: exit code %d, want %d", args, code, command.ExitUsage)
		}
	}
}
