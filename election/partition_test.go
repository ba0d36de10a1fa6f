package election_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/url"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

func setupConfig(t *testing.T) *pgx.ConnConfig {
	t.Helper()
	config, err := pgx.ParseConfig("postgres://nobody@localhost/none")
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// relay stands between a replica and PostgreSQL, on a loopback port.
type relay struct {
	url string

	mu     sync.Mutex // guards silent and server
	silent bool       // nothing passes, nothing is closed: a partition
	server net.Conn   // of the latest connection
}

// serve starts a relay to the server of the URL.
func serve(t *testing.T, to string) *relay {
	t.Helper()
	config, err := pgx.ParseConfig(to)
	if err != nil {
		t.Fatal(err)
	}
	network, address := "tcp", net.JoinHostPort(config.Host, "5432")
	if config.Host[0] == '/' {
		network, address = "unix", config.Host+"/.s.PGSQL.5432"
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r := &relay{}
	through := url.URL{
		Scheme: "postgres", User: url.UserPassword(config.User, config.Password),
		Host: listener.Addr().String(), Path: "/" + config.Database, RawQuery: "sslmode=disable",
	}
	r.url = through.String()
	var open sync.WaitGroup
	var conns []net.Conn
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			server, err := net.Dial(network, address)
			if err != nil {
				client.Close()
				continue
			}
			r.mu.Lock()
			r.server = server
			conns = append(conns, client, server)
			r.mu.Unlock()
			open.Go(func() { r.pass(client, server) })
			open.Go(func() { r.pass(server, client) })
		}
	})
	t.Cleanup(func() {
		listener.Close()
		r.mu.Lock()
		for _, c := range conns {
			c.Close()
		}
		r.mu.Unlock()
		open.Wait()
	})
	return r
}

func (r *relay) pass(from, to net.Conn) {
	buffer := make([]byte, 32<<10)
	for {
		n, err := from.Read(buffer)
		r.mu.Lock()
		silent := r.silent
		r.mu.Unlock()
		if silent {
			_, _ = io.Copy(io.Discard, from) // swallowed until the test closes it
			return
		}
		if err != nil {
			to.Close()
			return
		}
		if _, err := to.Write(buffer[:n]); err != nil {
			return
		}
	}
}

func (r *relay) partition() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.silent = true
}

// inject sends a simple query to the server in the client's name, between two of the client's own. The answer reaches
// the client, which reads between its pings, and passes over what it did not ask for.
func (r *relay) inject(sql string) {
	message := append([]byte{'Q', 0, 0, 0, byte(4 + len(sql) + 1)}, sql...)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = r.server.Write(append(message, 0))
}

func TestPartitionedLeaderStopsBeforeTheNextOneLeads(t *testing.T) {
	t.Parallel()
	url := pgtest.Database(t)
	proxy := serve(t, url)
	first := setup(t, proxy.url, briefly)
	pgtest.Within(t, "first leader", first.leading)
	second := setup(t, url, briefly)
	pgtest.Eventually(t, "standby", func() bool { return second.elector.Status().Role == election.Standby })

	proxy.partition()
	select {
	case cause := <-first.cause:
		if !errors.Is(cause, election.ErrLost) {
			t.Errorf("cause %v, want ErrLost", cause)
		}
	case <-second.leading:
		t.Fatal("two leaders: the second leads and the first has not stopped")
	}
	if err := pgtest.Within(t, "first to end", first.ended); !errors.Is(err, election.ErrLost) {
		t.Errorf("Run returned %v, want ErrLost", err)
	}
	first.ended <- nil
	pgtest.Within(t, "second leader", second.leading)
}

func TestUnhealthyWhenTheLeaderIgnoresItsContext(t *testing.T) {
	t.Parallel()
	// the process is told to end a tenth of it before another leads
	lasting := func(o *election.Options) { o.Lease = 2 * brief }
	url := pgtest.Database(t)
	proxy := serve(t, url)
	second := setup(t, url, lasting)
	pgtest.Within(t, "second, which leads for now", second.leading)

	unhealthy, release, leads := make(chan error, 1), make(chan struct{}), make(chan struct{})
	first := &replica{t: t, ended: make(chan error, 1)}
	first.start(proxy.url, func(context.Context, election.Term) error {
		close(leads)
		<-release
		return nil
	}, lasting, func(o *election.Options) { o.Unhealthy = func(err error) { unhealthy <- err } })
	pgtest.Eventually(t, "first to stand by", func() bool { return first.elector.Status().Role == election.Standby })
	second.stop()
	pgtest.Within(t, "first to lead", leads)
	third := setup(t, url, lasting)
	pgtest.Eventually(t, "third to stand by", func() bool { return third.elector.Status().Role == election.Standby })

	proxy.partition()
	select {
	case err := <-unhealthy:
		if !errors.Is(err, election.ErrLost) {
			t.Errorf("unhealthy with %v, want ErrLost", err)
		}
	case <-third.leading:
		t.Fatal("the lease has passed on, and the old leader's process was not told to end")
	case <-time.After(pgtest.Patience):
		t.Fatal("the process was not told to end")
	}
	close(release)
	pgtest.Within(t, "third leader", third.leading)
}
