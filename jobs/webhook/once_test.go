package webhook

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"

	"github.com/pgsolo/pgsolo/jobs"
)

// A receiver that drops a request on a connection which was used before has perhaps acted on it: net/http must not send
// it again.
func TestAttemptSendsOneRequest(t *testing.T) {
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
	if err := request.Send(t.Context(), jobs.Invocation{IdempotencyKey: "job/1"}); err != nil {
		t.Fatal(err)
	}
	if err := request.Send(t.Context(), jobs.Invocation{IdempotencyKey: "job/1"}); err == nil {
		t.Error("the request that was dropped has succeeded")
	}
	if n := requests.Load(); n != 2 {
		t.Errorf("%d requests for two attempts", n)
	}
}
