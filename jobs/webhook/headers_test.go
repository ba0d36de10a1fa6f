package webhook

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

func TestHeaders(t *testing.T) {
	created := time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	for name, test := range map[string]struct {
		headers    map[string]string
		invocation jobs.Invocation
		want       http.Header
	}{
		"event": {
			invocation: eventlog.Event{
				Handler: "receipt", ID: 7, Topic: "orders", Key: "größe 100%\r\nX-Evil: 1", CreatedAt: created,
				Attempt: 2, Term: 9,
				Headers: map[string]string{"x-tenant": "acme", "X-Tenant": "first", "a b%": "\n", "": "nameless"},
				Payload: []byte(`{"id": 1}`),
			}.Invocation(),
			want: http.Header{
				"Content-Type":           {"application/json"},
				"Idempotency-Key":        {"receipt/7"},
				"Pgsolo-Attempt":         {"2"},
				"Pgsolo-Created-At":      {"2026-01-02T03:04:05Z"},
				"Pgsolo-Event-Id":        {"7"},
				"Pgsolo-Header-A%20b%25": {"%0A"},
				"Pgsolo-Header-X-Tenant": {"first"},
				"Pgsolo-Key":             {"gr%C3%B6%C3%9Fe%20100%25%0D%0AX-Evil:%201"},
				"Pgsolo-Name":            {"receipt"},
				"Pgsolo-Term":            {"9"},
				"Pgsolo-Topic":           {"orders"},
				"User-Agent":             {"pgsolo"},
			},
		},
		"tick": {
			invocation: cron.Tick{
				Job: "report", ScheduledAt: created.In(time.FixedZone("CET", 3600)), CatchUp: true, Attempt: 1, Term: 9,
			}.Invocation(),
			want: http.Header{
				"Content-Type":        {"application/octet-stream"},
				"Idempotency-Key":     {"report/2026-01-02T03:04:05Z"},
				"Pgsolo-Attempt":      {"1"},
				"Pgsolo-Catch-Up":     {"true"},
				"Pgsolo-Manual":       {"false"},
				"Pgsolo-Name":         {"report"},
				"Pgsolo-Scheduled-At": {"2026-01-02T04:04:05+01:00"},
				"Pgsolo-Term":         {"9"},
				"User-Agent":          {"pgsolo"},
			},
		},
		"triggered run": {
			invocation: cron.Tick{
				Job: "report", ScheduledAt: created.Add(time.Microsecond), Manual: true, Attempt: 3, Term: 9,
			}.Invocation(),
			want: http.Header{
				"Content-Type":        {"application/octet-stream"},
				"Idempotency-Key":     {"report/2026-01-02T03:04:05.000001Z"},
				"Pgsolo-Attempt":      {"3"},
				"Pgsolo-Catch-Up":     {"false"},
				"Pgsolo-Manual":       {"true"},
				"Pgsolo-Name":         {"report"},
				"Pgsolo-Scheduled-At": {"2026-01-02T03:04:05.000001Z"},
				"Pgsolo-Term":         {"9"},
				"User-Agent":          {"pgsolo"},
			},
		},
		"plain NOTIFY with headers of the user": {
			headers: map[string]string{
				"content-type": "text/plain", "user-agent": "billing", "pgsolo-term": "mine",
				"Authorization": "Bearer a b",
			},
			invocation: eventlog.Event{
				Handler: "bridge", Channel: "cache", CreatedAt: created, Attempt: 1, Payload: []byte("not JSON"),
			}.Invocation(),
			want: http.Header{
				"Authorization":     {"Bearer a b"},
				"Content-Type":      {"text/plain"},
				"Pgsolo-Attempt":    {"1"},
				"Pgsolo-Channel":    {"cache"},
				"Pgsolo-Created-At": {"2026-01-02T03:04:05Z"},
				"Pgsolo-Name":       {"bridge"},
				"Pgsolo-Term":       {"mine"},
				"User-Agent":        {"billing"},
			},
		},
	} {
		t.Run(name, func(t *testing.T) {
			var got http.Header
			url, client := serve(t, func(_ http.ResponseWriter, r *http.Request) {
				got = r.Header
			})
			request := Request{URL: url, Headers: test.headers, Client: client}
			if err := request.Send(t.Context(), test.invocation); err != nil {
				t.Fatal(err)
			}
			got.Del("Content-Length")
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("headers (-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzEncode(f *testing.F) {
	f.Add("größe 100%\r\n\x00")
	f.Fuzz(func(t *testing.T, text string) {
		for what, encoded := range map[string]string{"value": encodeValue(text), "name": encodeName(text)} {
			if got, err := url.PathUnescape(encoded); err != nil || got != text {
				t.Errorf("%s %q becomes %q, which decodes to %q, %v", what, text, encoded, got, err)
			}
		}
		if name := encodeName(text); text != "" && !isToken(name) {
			t.Errorf("encodeName(%q) = %q, which is no token", text, name)
		}
	})
}
