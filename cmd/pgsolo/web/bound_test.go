package web

import (
	"net"
	"net/http"
	"testing"

	"github.com/hashicorp/go-hclog"
)

// Connections that send nothing, or the beginning of a request, take no place from a probe.
func TestSlowConnectionsLeaveProbesAPlace(t *testing.T) {
	s := New(Options{Logger: hclog.NewNullLogger()})
	b := newBound(64)
	s.server.ConnState = b.changed
	var listen net.ListenConfig
	socket, err := listen.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- s.Serve(socket) }()
	t.Cleanup(func() {
		s.server.Close()
		<-ended
	})
	address := socket.Addr().String()
	for n := range 200 {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.Close() })
		if n%2 == 0 {
			if _, err := conn.Write([]byte("GET /livez HT")); err != nil {
				t.Fatal(err)
			}
		}
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	for range 20 {
		request, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "http://"+address+"/livez", nil)
		if err != nil {
			t.Fatal(err)
		}
		response, err := client.Do(request)
		if err != nil {
			t.Fatal(err)
		}
		response.Body.Close()
		if response.StatusCode != http.StatusOK {
			t.Errorf("status %d", response.StatusCode)
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if n := len(b.heard); n > 16 {
		t.Errorf("%d connections are open", n)
	}
}
