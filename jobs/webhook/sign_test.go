package webhook

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// vector is a secret of Standard Webhooks' own test libraries.
const vector = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

func TestSignOfKnownMessage(t *testing.T) {
	key, err := signingKey(vector)
	if err != nil {
		t.Fatal(err)
	}
	headers := http.Header{}
	sign(headers, key, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0), []byte(`{"test": 2432232314}`))
	if got, want := headers.Get("webhook-signature"), "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="; got != want {
		t.Errorf("signature = %s, want %s", got, want)
	}
}

func TestSignedRequest(t *testing.T) {
	for name, test := range map[string]struct {
		secret string
		key    string
		event  eventlog.Event
		wantID string // empty: any
	}{
		"event": {
			secret: "raw secret", key: "raw secret", event: eventlog.Event{Handler: "receipt", ID: 7},
			wantID: "receipt/7",
		},
		"id has no dot": {
			secret: "raw", key: "raw", event: eventlog.Event{Handler: "v1.größe", ID: 7},
			wantID: "v1%2Egr%C3%B6%C3%9Fe/7",
		},
		"line feed": {
			secret: "from a file\n", key: "from a file", event: eventlog.Event{Handler: "receipt", ID: 7},
			wantID: "receipt/7",
		},
		"plain NOTIFY": {secret: "raw", key: "raw", event: eventlog.Event{Handler: "bridge", Channel: "cache"}},
		"encoded secret": {
			secret: "whsec_" + base64.StdEncoding.EncodeToString([]byte(strings.Repeat("k", 24))),
			key:    strings.Repeat("k", 24),
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got http.Header
			var body []byte
			url, client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
				got = r.Header
				body, _ = io.ReadAll(r.Body)
			})
			test.event.Payload = []byte(`{"paid": true}`)
			request := Request{URL: url, Secret: test.secret, Client: client}
			if err := request.Send(t.Context(), test.event.Invocation()); err != nil {
				t.Fatal(err)
			}
			id := got.Get("webhook-id")
			if test.wantID != "" && id != test.wantID || id == "" || strings.Contains(id, ".") {
				t.Errorf("webhook-id = %q, want %q", id, test.wantID)
			}
			mac := hmac.New(sha256.New, []byte(test.key))
			mac.Write([]byte(id + "." + got.Get("webhook-timestamp") + "." + string(body)))
			if want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)); got.Get("webhook-signature") != want {
				t.Errorf("webhook-signature = %q, want %q", got.Get("webhook-signature"), want)
			}
		})
	}
}
