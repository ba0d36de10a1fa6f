package webhook

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs"
)

// serve starts a receiver and returns its URL and a client that is closed with it.
func serve(t *testing.T, handle http.HandlerFunc) (string, *http.Client) {
	t.Helper()
	server := httptest.NewServer(handle)
	t.Cleanup(server.Close)
	client := NewClient()
	t.Cleanup(client.CloseIdleConnections)
	return server.URL, client
}

func TestSend(t *testing.T) {
	type received struct{ Method, Host, User, Query, Body string }
	for name, test := range map[string]struct {
		method  string
		headers map[string]string
		body    string
		want    received
	}{
		"default": {
			body: `{"id": 1}`,
			want: received{Method: "POST", Host: "HOST", User: "user:pass word", Query: "token=1", Body: `{"id": 1}`},
		},
		"method": {
			method: "PUT", want: received{Method: "PUT", Host: "HOST", User: "user:pass word", Query: "token=1"},
		},
		"host header": {
			headers: map[string]string{"host": "example.com"},
			want:    received{Method: "POST", Host: "example.com", User: "user:pass word", Query: "token=1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got received
			url, client := serve(t, func(w http.ResponseWriter, r *http.Request) {
				user, password, _ := r.BasicAuth()
				body, _ := io.ReadAll(r.Body)
				got = received{r.Method, r.Host, user + ":" + password, r.URL.RawQuery, string(body)}
				w.WriteHeader(http.StatusAccepted)
			})
			host := strings.TrimPrefix(url, "http://")
			if test.want.Host == "HOST" {
				test.want.Host = host
			}
			request := Request{
				URL: "http://user:pass%20word@" + host + "/path?token=1", Method: test.method,
				Headers: test.headers, Client: client,
			}
			if err := request.Send(t.Context(), jobs.Invocation{Body: []byte(test.body)}); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("request (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSendWithoutClient(t *testing.T) {
	url, _ := serve(t, func(http.ResponseWriter, *http.Request) {})
	if err := (Request{URL: url}).Send(t.Context(), jobs.Invocation{}); err != nil {
		t.Error(err)
	}
}

func TestConnectionIsKept(t *testing.T) {
	var connections atomic.Int64
	server := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusInternalServerError)
		w.Write(make([]byte, 500<<10))
	}))
	server.Config.ConnState = func(_ net.Conn, state http.ConnState) {
		if state == http.StateNew {
			connections.Add(1)
		}
	}
	server.Start()
	t.Cleanup(server.Close)
	client := NewClient()
	t.Cleanup(client.CloseIdleConnections)
	const requests = 10
	for range requests {
		if err := (Request{URL: server.URL, Client: client}).Send(t.Context(), jobs.Invocation{}); err == nil {
			t.Error("Send = nil, want status 500")
		}
	}
	// net/http does without a connection where it learns 50 ms late that the request was written, as on a busy machine.
	if got := connections.Load(); got > requests/2 {
		t.Errorf("%d requests took %d connections", requests, got)
	}
}

func TestSendEndsWithContext(t *testing.T) {
	cause := errors.New("leadership lost")
	ctx, cancel := context.WithCancelCause(t.Context())
	url, client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.ReadAll(r.Body)
		cancel(cause)
		<-r.Context().Done()
	})
	err := (Request{URL: url + "/?token=1", Client: client}).Send(ctx, jobs.Invocation{Body: []byte("1")})
	if want := "send POST " + url + ": leadership lost"; !errors.Is(err, cause) || err.Error() != want {
		t.Errorf("Send = %v, want %s", err, want)
	}
}
