package webhook

import (
	"bufio"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/pgsolo/pgsolo/jobs"
)

// A receiver that drops a request on a connection which was used before has perhaps acted on it, or has closed it
// before the request came. It gets the request once more, and on a new connection no third time.
func TestAttemptSendsOneRequestMore(t *testing.T) {
	var requests atomic.Int64
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Idempotency-Key") != "job/1" {
			t.Errorf("headers: %v", r.Header)
		}
		if requests.Add(1) == 1 {
			return
		}
		conn, _, err := w.(http.Hijacker).Hijack()
		if err != nil {
			t.Error(err)
			return
		}
		_ = conn.Close()
	}))
	t.Cleanup(receiver.Close)
	client := NewClient()
	t.Cleanup(client.CloseIdleConnections)
	request := Request{URL: receiver.URL, Client: client}
	if err := request.Send(t.Context(), jobs.Invocation{IdempotencyKey: "job/1", Body: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	for _, want := range []int64{3, 4} { // the second time there is no connection that was used before
		if err := request.Send(t.Context(), jobs.Invocation{IdempotencyKey: "job/1", Body: []byte("x")}); err == nil {
			t.Error("the request that was dropped has succeeded")
		}
		if n := requests.Load(); n != want {
			t.Errorf("%d requests, want %d", n, want)
		}
	}
}

// A receiver that answers, and then closes the connection when the next request comes, makes no attempt fail.
func TestReceiverThatClosesKeptConnections(t *testing.T) {
	var listen net.ListenConfig
	listener, err := listen.Listen(context.Background(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { listener.Close() })
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() {
				defer conn.Close()
				reader := bufio.NewReader(conn)
				request, err := http.ReadRequest(reader)
				if err != nil {
					return
				}
				if body, err := io.ReadAll(request.Body); err != nil || string(body) != "x" {
					t.Errorf("body %q, %v", body, err)
				}
				_, _ = io.WriteString(conn, "HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
				_, _ = reader.Peek(1)
			}()
		}
	}()
	client := NewClient()
	t.Cleanup(client.CloseIdleConnections)
	request := Request{URL: "http://" + listener.Addr().String(), Client: client}
	for n := range 100 {
		if err := request.Send(t.Context(), jobs.Invocation{IdempotencyKey: "job/1", Body: []byte("x")}); err != nil {
			t.Fatalf("attempt %d: %v", n+1, err)
		}
	}
}

// The request that is sent once more has a connection of its own, and those to other receivers are kept.
func TestOnceMoreOnANewConnection(t *testing.T) {
	receiver := func(breaks func(request int64) bool) (url string, connections *atomic.Int64) {
		connections = new(atomic.Int64)
		var requests atomic.Int64
		server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if breaks(requests.Add(1)) {
				panic(http.ErrAbortHandler)
			}
		}))
		server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
			if state == http.StateNew {
				connections.Add(1)
			}
		}
		server.Start()
		t.Cleanup(server.Close)
		return server.URL, connections
	}
	client := NewClient()
	t.Cleanup(client.CloseIdleConnections)
	send := func(url string) {
		t.Helper()
		request := Request{URL: url, Client: client}
		if err := request.Send(t.Context(), jobs.Invocation{IdempotencyKey: "job/1", Body: []byte("x")}); err != nil {
			t.Fatal(err)
		}
	}
	steady, kept := receiver(func(int64) bool { return false })
	breaking, opened := receiver(func(request int64) bool { return request == 2 })
	send(steady)
	send(breaking)
	send(breaking)
	send(steady)
	if kept.Load() != 1 || opened.Load() != 2 {
		t.Errorf("%d connections to one receiver, %d to the other, want 1 and 2", kept.Load(), opened.Load())
	}
}

// With HTTP/2, too, whose connections the clone of a transport may share with it: where golang.org/x/net has configured
// it, the clone has its functions.
func TestOnceMoreOnANewConnectionOfHTTP2(t *testing.T) {
	for name, make := range map[string]func(*http.Transport) *http.Transport{
		"own": func(own *http.Transport) *http.Transport { return own },
		"configured": func(own *http.Transport) *http.Transport {
			own = own.Clone()
			own.CloseIdleConnections() // which fills in its functions
			configured := own.Clone()
			configured.TLSNextProto = own.TLSNextProto
			configured.TLSClientConfig.NextProtos = []string{"h2", "http/1.1"}
			return configured
		},
	} {
		t.Run(name, func(t *testing.T) {
			var places []string // of the requests, which come one after the other
			server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if places = append(places, r.RemoteAddr); r.ProtoMajor != 2 {
					t.Errorf("%s", r.Proto)
				}
				if len(places) == 2 {
					panic(http.ErrAbortHandler)
				}
			}))
			server.EnableHTTP2 = true
			server.StartTLS()
			t.Cleanup(server.Close)
			transport := NewClient().Transport.(*http.Transport)
			transport.TLSClientConfig = server.Client().Transport.(*http.Transport).TLSClientConfig.Clone()
			client := &http.Client{Transport: make(transport)}
			t.Cleanup(client.CloseIdleConnections)
			request := Request{URL: server.URL, Client: client}
			for range 2 {
				err := request.Send(t.Context(), jobs.Invocation{IdempotencyKey: "job/1", Body: []byte("x")})
				if err != nil {
					t.Fatal(err)
				}
			}
			if len(places) != 3 || places[0] != places[1] || places[2] == places[1] {
				t.Errorf("requests came from %v", places)
			}
		})
	}
}
