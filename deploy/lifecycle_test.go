package deploy_test

import (
	"net"
	"net/http"
	"os"
	"regexp"
	"testing"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/web"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/listener"
)

// A probe of a path that the program does not have would get 404. And a standby must be ready, an outage must not end a
// life.
func TestProbesSuitTheProgram(t *testing.T) {
	m := setup(t)
	now, ahead, past := time.Now(), time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	for _, test := range []struct {
		name        string
		status      election.Status
		live, ready int
	}{
		{"leader", election.Status{Role: election.Leader, SeenAt: now, AliveUntil: ahead}, 200, 200},
		{"standby", election.Status{Role: election.Standby, SeenAt: now, AliveUntil: ahead}, 200, 200},
		{"no database yet", election.Status{Role: election.Outside, AliveUntil: ahead}, 200, 503},
		{"no database any more", election.Status{Role: election.Outside, SeenAt: past, AliveUntil: ahead}, 200, 503},
		{"hung loop", election.Status{Role: election.Standby, SeenAt: past, AliveUntil: past}, 503, 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			base := serve(t, test.status)
			if got := get(t, base+m.replica().LivenessProbe.HTTPGet.Path); got != test.live {
				t.Errorf("liveness: %d, want %d", got, test.live)
			}
			if got := get(t, base+m.replica().ReadinessProbe.HTTPGet.Path); got != test.ready {
				t.Errorf("readiness: %d, want %d", got, test.ready)
			}
		})
	}
}

// serve lets the program's HTTP server answer for a replica with this status, and returns its URL.
func serve(t *testing.T, status election.Status) string {
	t.Helper()
	socket, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := web.New(web.Options{
		Elections: []web.Election{{
			Status: func() election.Status { return status }, Stats: func() election.Stats { return election.Stats{} },
			Events: func() eventlog.Stats { return eventlog.Stats{} }, Crons: func() []cron.Stats { return nil },
			Fresh: time.Minute,
		}},
		Listener: func() listener.Stats { return listener.Stats{} },
		Logger:   hclog.NewNullLogger(),
	})
	served := make(chan error, 1)
	go func() { served <- server.Serve(socket) }()
	t.Cleanup(func() {
		server.Shutdown()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return "http://" + socket.Addr().String()
}

func get(t *testing.T, url string) int {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	return response.StatusCode
}

func TestGracePeriodCoversTheProgramsOwnTimes(t *testing.T) {
	m := setup(t)
	pod := m.deployment.Spec.Template.Spec
	election := m.config(t, pod).Elections[0]

	const margin = 5 * time.Second
	grace := time.Duration(*pod.TerminationGracePeriodSeconds) * time.Second
	if need := election.Drain + forcedEnd(t) + margin; grace < need {
		t.Errorf("terminationGracePeriodSeconds is %s, and the program may need %s", grace, need)
	}
	// From the first failure to the last. The lease ends the leadership of a hung leader; no probe should be quicker.
	probe := m.replica().LivenessProbe
	patience := time.Duration((probe.FailureThreshold-1)*probe.PeriodSeconds) * time.Second
	if patience < 2*election.Lease {
		t.Errorf("liveness gives up after %s, and the lease is %s", patience, election.Lease)
	}
}

// forcedEnd reads, from its source, how long after the drain the program ends by force.
func forcedEnd(t *testing.T) time.Duration {
	t.Helper()
	source, err := os.ReadFile("../cmd/pgsolo/command/signals.go")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile(`const forcedEnd = (\d+) \* time\.Second`).FindSubmatch(source)
	if found == nil {
		t.Fatal("signals.go has no constant forcedEnd in seconds")
	}
	after, err := time.ParseDuration(string(found[1]) + "s")
	if err != nil {
		t.Fatal(err)
	}
	return after
}
