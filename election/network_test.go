//go:build linux

package election_test

import (
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// inNetwork is the environment variable of the test process that runs in a network namespace of its own.
const inNetwork = "PGSOLO_TEST_NETWORK"

// trickle sends 8 MB/s, so that data is always under way, and the send buffer of the server is soon full.
const trickle = `select pg_sleep(0.001), repeat('x', 8000) from generate_series(1, 1000000)`

// The leader is cut off by a network that swallows packets, and nothing is closed: both ways, each way, and with data
// under way. The leader has stopped before its successor starts, which does so after a lease and a ping at the latest.
// The marks depend on the leader's context alone, without Term.Held.
//
// The test runs in a process that has a network namespace of its own, with PostgreSQL in it, and the leader in a
// further one. The kernel removes both, with the addresses and devices in them, when their processes are gone, whatever
// ends them.
func TestPartitions(t *testing.T) {
	if os.Getenv(inNetwork) == "" {
		t.Parallel()
		runInNetwork(t)
		return
	}
	ip(t, "link set lo up")
	server := startServer(t, privatepg.Options{TCP: true, Settings: map[string]string{"listen_addresses": "0.0.0.0"}})
	admit(t, server)

	for i, test := range []struct {
		name  string
		cut   func(*line)
		work  string
		ended string // empty: the server may still hear the leader hang up, which is sooner than the lease, or not
	}{
		{"both ways", (*line).cutBoth, "", "lease expired"},
		{"link down", (*line).down, "", "lease expired"},
		{"to the server", (*line).cutToServer, "", "lease expired"},
		{"to the leader", (*line).cutToLeader, "", ""},
		{"both ways, data under way", (*line).cutBoth, trickle, "fenced"},
		{"link down, data under way", (*line).down, trickle, "fenced"},
		{"to the server, data under way", (*line).cutToServer, trickle, "fenced"},
		{"to the leader, data under way", (*line).cutToLeader, trickle, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			for n := range repeats() {
				l := lay(t, i, n)
				c := setupCluster(t, server.URL("postgres"), func(c *replicaConfig) {
					c.Name, c.Lease, c.Work = l.ours, brief, test.work
				})
				c.cutOff(server, l, test.cut, test.ended)
			}
		})
	}
}

// cutOff cuts the leader off, and waits for its end and for its successor.
func (c *cluster) cutOff(server *privatepg.Server, l *line, cut func(*line), ended string) {
	local := c.config.URL
	c.config.URL = l.serverURL(server)
	first := l.connect(c)
	_, begun := c.leader(0)
	c.config.URL = local
	c.start()
	c.standbys(1)
	if c.config.Work != "" {
		c.working(begun.term)
	}

	cutAt := time.Now()
	cut(l)
	_, next := c.leader(begun.term)
	c.wantWithin("cut off", cutAt, next, c.silent())
	first.wantLost()
	for _, m := range c.marks() { // none where the process has ended before, on a busy machine
		if m.term == begun.term && m.kind == ends {
			c.t.Logf("the leader had stopped %s before", next.at.Sub(m.at).Round(100*time.Microsecond))
		}
	}
	if ended != "" {
		c.wantEnded(begun.term, ended)
	}
}

// runInNetwork runs the test that calls it in a process with a network namespace of its own.
func runInNetwork(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("it needs the program ip, of the package iproute2")
	}
	if os.Geteuid() != 0 {
		t.Skip("it needs root, to make network namespaces")
	}
	// All cases at once: they wait, rather than work.
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.parallel=8", "-test.timeout=5m")
	cmd.Env = append(os.Environ(), inNetwork+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	out, err := cmd.CombinedOutput()
	if cmd.Process == nil {
		t.Skipf("it needs network namespaces, which this machine refuses: %v", err)
	}
	t.Logf("in a network namespace:\n%s", out)
	if err != nil || strings.Contains(string(out), "no tests to run") {
		t.Errorf("in a network namespace: %v", err)
	}
}

// admit lets clients in that come over a line.
func admit(t *testing.T, server *privatepg.Server) {
	conn := pgtest.Connect(t, server.URL("postgres"))
	if _, err := conn.Exec(t.Context(),
		`copy (select 'host all all 10.0.0.0/8 scram-sha-256') to program 'cat >>pg_hba.conf';
		select pg_reload_conf()`); err != nil {
		t.Fatal(err)
	}
	l := lay(t, 255, 0) // its own address is that of the client here
	pgtest.Eventually(t, "the server to let clients in", func() bool {
		conn, err := pgx.Connect(t.Context(), l.serverURL(server))
		if err != nil {
			return false
		}
		return conn.Close(t.Context()) == nil
	})
}

// line is a cable of two virtual devices, between the namespace of the server and that of a replica.
type line struct {
	t            *testing.T
	ours, theirs string // devices, server's and replica's end
	server, peer string // addresses
	namespace    string // the replica's process, by which its namespace is named
}

// Hardware addresses of the two ends of each line, and one that no device has: a frame that is sent to it is lost.
// Nothing asks for them, since an answer could be lost and cut the other way off, too.
const (
	serverEnd = "02:00:00:00:00:01"
	peerEnd   = "02:00:00:00:00:02"
	nobody    = "02:00:00:00:00:03"
)

// lay makes a line that is not connected yet.
func lay(t *testing.T, i, n int) *line {
	name, net := fmt.Sprintf("line-%d-%d", i, n), fmt.Sprintf("10.%d.%d.", i, n)
	l := &line{t: t, ours: name, theirs: name + "-r", server: net + "1", peer: net + "2"}
	ip(t, "link add %s address %s type veth peer name %s address %s", l.ours, serverEnd, l.theirs, peerEnd)
	ip(t, "address add %s/24 dev %s", l.server, l.ours)
	ip(t, "link set %s up", l.ours)
	return l
}

// serverURL is where the server is found at the other end.
func (l *line) serverURL(server *privatepg.Server) string {
	to, err := url.Parse(server.URL("postgres"))
	if err != nil {
		l.t.Fatal(err)
	}
	to.Host = net.JoinHostPort(l.server, to.Port())
	return to.String()
}

// connect starts a replica in a new namespace, at the other end. It waits for the line, as a shell, before it is the
// replica.
func (l *line) connect(c *cluster) *process {
	l.t.Helper()
	command := c.command()
	command.Program, command.Args = "/bin/sh", []string{"-c", `read -r go && exec "$0"`, os.Args[0]}
	command.Attr.Cloneflags = syscall.CLONE_NEWNET
	command.Attr.Pdeathsig = syscall.SIGKILL
	p := c.run(command)
	l.namespace = fmt.Sprint(p.PID())
	ip(l.t, "link set %s netns %s", l.theirs, l.namespace)
	l.atPeer("address add %s/24 dev %s", l.peer, l.theirs)
	l.atPeer("link set %s up", l.theirs)
	l.sendToPeer(peerEnd)
	l.sendToServer(serverEnd)
	if _, err := io.WriteString(p.Input(), "go\n"); err != nil {
		l.t.Fatal(err)
	}
	return p
}

func (l *line) down() { l.atPeer("link set %s down", l.theirs) }

func (l *line) cutToServer() { l.sendToServer(nobody) }

func (l *line) cutToLeader() { l.sendToPeer(nobody) }

func (l *line) cutBoth() {
	l.cutToServer()
	l.cutToLeader()
}

// sendToServer sets the hardware address to which the replica sends what is for the server.
func (l *line) sendToServer(hardware string) {
	l.atPeer("neighbour replace %s lladdr %s dev %s nud permanent", l.server, hardware, l.theirs)
}

// sendToPeer sets the one to which the server sends what is for the replica.
func (l *line) sendToPeer(hardware string) {
	ip(l.t, "neighbour replace %s lladdr %s dev %s nud permanent", l.peer, hardware, l.ours)
}

// ip runs the program in the namespace of the server.
func ip(t *testing.T, format string, args ...any) {
	t.Helper()
	command(t, append([]string{"ip"}, strings.Fields(fmt.Sprintf(format, args...))...))
}

// atPeer runs ip in the namespace of the replica.
func (l *line) atPeer(format string, args ...any) {
	l.t.Helper()
	command(l.t, append([]string{"nsenter", "-t", l.namespace, "-n", "ip"},
		strings.Fields(fmt.Sprintf(format, args...))...))
}

func command(t *testing.T, args []string) {
	t.Helper()
	if out, err := exec.Command(args[0], args[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(args, " "), err, out)
	}
}
