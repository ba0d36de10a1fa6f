//go:build linux

package listener

import (
	"context"
	"fmt"
	"net"
	"net/url"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/privatepg"
)

// inNetwork is the environment variable of the test process that runs in a network namespace of its own.
const inNetwork = "PGSOLO_TEST_NETWORK"

// The network swallows packets of the session, and nothing is closed: both ways, each way, and with notifications under
// way. It is found and replaced in time, and Missed tells so.
//
// The test runs in a process that has a network namespace of its own, with PostgreSQL in it, and the connections of
// each listener come from a further one until it is cut. The kernel removes both when their processes are gone,
// whatever ends them.
func TestBlackHole(t *testing.T) {
	if os.Getenv(inNetwork) == "" {
		t.Parallel()
		runInNetwork(t)
		return
	}
	command(t, "ip link set lo up")
	server := pgtest.Server(t, privatepg.Options{TCP: true, Settings: map[string]string{"listen_addresses": "0.0.0.0"}})
	admin := setupOn(t, server.URL("postgres"))
	admin.exec(`copy (select 'host all all 10.0.0.0/8 scram-sha-256') to program 'cat >>pg_hba.conf'`)
	admin.exec(`select pg_reload_conf()`)
	for i, test := range []struct {
		name string
		cut  func(*line)
		busy bool
	}{
		{"both ways", (*line).cutBoth, false},
		{"link down", (*line).down, false},
		{"to the server", (*line).cutToServer, false},
		{"to the listener", (*line).cutToListener, false},
		{"both ways, notifications under way", (*line).cutBoth, true},
		{"to the server, notifications under way", (*line).cutToServer, true},
		{"to the listener, notifications under way", (*line).cutToListener, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			swallow(t, server, i, test.cut, test.busy)
		})
	}
}

// overTheLine counts the sessions that come from an address.
const overTheLine = `select count(*) from pg_stat_activity where client_addr = $1::text::inet`

func swallow(t *testing.T, server *privatepg.Server, i int, cut func(*line), busy bool) {
	const interval = 500 * time.Millisecond
	b := setupOn(t, server.URL("postgres"))
	name := fmt.Sprint("database_", i)
	b.exec(`create database ` + name)
	b = setupOn(t, server.URL(name))
	l := lay(t, i)
	var isCut atomic.Bool
	direct := b.options.Config.DialFunc
	b.options.Config.DialFunc = func(ctx context.Context, network, address string) (net.Conn, error) {
		if isCut.Load() {
			return direct(ctx, network, address)
		}
		return l.dial(ctx, server)
	}
	b.options.ProbeInterval, b.options.Buffer = interval, 100_000 // the traffic is read only in the end
	b.options.Unhealthy = func(err error) { t.Errorf("unhealthy: %v", err) }
	listener := b.listener()
	_, stop := b.run(listener)
	pgtest.Eventually(t, "a session over the line", func() bool { return listener.Stats().Connected })
	s := b.established(listener, "c")
	pgtest.Eventually(t, "one session over the line", func() bool {
		return pgtest.Value[int](t, b.conn, overTheLine, l.peer) == 1
	})
	bound := 2 * interval
	if busy {
		traffic(b, "c", time.Millisecond)
		pgtest.Eventually(t, "traffic", func() bool { return listener.Stats().Received > 10 })
		bound = 3 * interval // what was under way may come in a while longer
	}
	select {
	case <-s.Missed(): // a busy machine may have had the session replaced before
	default:
	}
	before, cutAt := listener.Stats().Reconnects, time.Now()
	isCut.Store(true)
	cut(l)
	pgtest.Within(t, "missed", s.Missed())
	if took := time.Since(cutAt); took > bound+tardy {
		t.Errorf("it took %s", took)
	}
	b.receives(s, "after")
	if n := listener.Stats().Reconnects; n == before {
		t.Errorf("%d reconnects:\n%s", n, b.log)
	}
	stop()
}

// runInNetwork runs the test that calls it in a process with a network namespace of its own.
func runInNetwork(t *testing.T) {
	for _, program := range []string{"ip", "nsenter"} {
		if _, err := exec.LookPath(program); err != nil {
			t.Skipf("it needs the program %s", program)
		}
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

// line is a cable of two virtual devices, between the namespace of the server and that of a listener's first
// connection.
type line struct {
	t            *testing.T
	ours, theirs string // devices, server's and listener's end
	server, peer string // addresses
	thread       int    // it holds the listener's namespace
	calls        chan func()
}

// Hardware addresses of the two ends of each line, and one that no device has: a frame that is sent to it is lost.
// Nothing asks for them, since an answer could be lost and cut the other way off, too.
const (
	serverEnd = "02:00:00:00:00:01"
	peerEnd   = "02:00:00:00:00:02"
	nobody    = "02:00:00:00:00:03"
)

// lay makes a line, with a thread at the other end. A socket stays for good in the namespace in which it is opened.
func lay(t *testing.T, i int) *line {
	name, network := fmt.Sprint("line-", i), fmt.Sprintf("10.0.%d.", i)
	l := &line{t: t, ours: name, theirs: name + "-r", server: network + "1", peer: network + "2",
		calls: make(chan func())}
	ready, ended := make(chan error), make(chan struct{})
	go func() {
		defer close(ended)
		runtime.LockOSThread() // never unlocked: the thread, and the namespace with it, ends with the goroutine
		l.thread = syscall.Gettid()
		ready <- syscall.Unshare(syscall.CLONE_NEWNET)
		for call := range l.calls {
			call()
		}
	}()
	t.Cleanup(func() {
		close(l.calls)
		<-ended
	})
	if err := <-ready; err != nil {
		t.Fatal(err)
	}
	command(t, "ip link add %s address %s type veth peer name %s address %s", l.ours, serverEnd, l.theirs, peerEnd)
	command(t, "ip address add %s/24 dev %s", l.server, l.ours)
	command(t, "ip link set %s up", l.ours)
	command(t, "ip link set %s netns %d", l.theirs, l.thread)
	l.atPeer("ip address add %s/24 dev %s", l.peer, l.theirs)
	l.atPeer("ip link set %s up", l.theirs)
	l.sendToPeer(peerEnd)
	l.sendToServer(serverEnd)
	return l
}

// dial opens a connection to the server over the line.
func (l *line) dial(ctx context.Context, server *privatepg.Server) (conn net.Conn, err error) {
	to, err := url.Parse(server.URL("postgres"))
	if err != nil {
		return nil, err
	}
	done := make(chan struct{})
	l.calls <- func() {
		defer close(done)
		// an address: one attempt, in this thread
		conn, err = new(net.Dialer).DialContext(ctx, "tcp", net.JoinHostPort(l.server, to.Port()))
	}
	<-done
	return conn, err
}

func (l *line) down() { l.atPeer("ip link set %s down", l.theirs) }

func (l *line) cutToServer() { l.sendToServer(nobody) }

func (l *line) cutToListener() { l.sendToPeer(nobody) }

func (l *line) cutBoth() {
	l.cutToServer()
	l.cutToListener()
}

// sendToServer sets the hardware address to which the listener's side sends what is for the server.
func (l *line) sendToServer(hardware string) {
	l.atPeer("ip neighbour replace %s lladdr %s dev %s nud permanent", l.server, hardware, l.theirs)
}

// sendToPeer sets the one to which the server sends what is for the listener.
func (l *line) sendToPeer(hardware string) {
	command(l.t, "ip neighbour replace %s lladdr %s dev %s nud permanent", l.peer, hardware, l.ours)
}

// atPeer runs a command in the namespace of the listener's side.
func (l *line) atPeer(format string, args ...any) {
	l.t.Helper()
	command(l.t, "nsenter --net=/proc/%d/task/%d/ns/net "+format, append([]any{os.Getpid(), l.thread}, args...)...)
}

// command runs in the namespace of the server.
func command(t *testing.T, format string, args ...any) {
	t.Helper()
	words := strings.Fields(fmt.Sprintf(format, args...))
	if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
		t.Fatalf("%s: %v: %s", strings.Join(words, " "), err, out)
	}
}
