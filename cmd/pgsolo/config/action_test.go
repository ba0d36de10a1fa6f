package config

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/jobs/webhook"
)

func parse(t *testing.T, src string) *Config {
	t.Helper()
	config, err := Parse("config.hcl", []byte("postgres { url = env(\"DATABASE_URL\") }\n"+src), testEnv)
	if err != nil {
		t.Fatal(err)
	}
	return config
}

// workOf is what the leader of the first election runs.
func workOf(config *Config, resources Resources) Work {
	return config.Bind(resources)[config.Elections[0].Name]
}

func anEvent() eventlog.Event {
	return eventlog.Event{
		Handler: "h", ID: 42, Topic: "orders", Key: "k-1", Headers: map[string]string{"tenant": "acme"},
		Payload:   []byte(`{"amount": 12.50, "tags": ["a", "b"], "note": null}`),
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC), Attempt: 2, Term: 7,
	}
}

func aTick() cron.Tick {
	return cron.Tick{Job: "nightly", ScheduledAt: time.Date(2026, 1, 2, 3, 0, 0, 0, time.UTC), CatchUp: true,
		Attempt: 1, Term: 7}
}

func TestEventExpressions(t *testing.T) {
	type request struct {
		Method, Path, Tenant, All string
		Body                      string
	}
	var got request
	var clients []string // addresses: one, if the connection is kept
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		clients = append(clients, r.RemoteAddr)
		got = request{r.Method, r.URL.RequestURI(), r.Header.Get("X-Tenant"), r.Header.Get("X-All"), string(body)}
	}))
	defer server.Close()

	config := parse(t, `
		topic "orders" {}
		handler "h" {
			topic = "orders"
			webhook {
				url     = "`+server.URL+`/${event.payload.tags[1]}?amount=${event.payload.amount}"
				method  = event.attempt > 1 ? "PUT" : "POST"
				headers = {
					x-tenant = upper(event.headers.tenant)
					x-all    = jsonencode([event.id, event.topic, event.channel, event.key, event.created_at,
						event.attempt, event.term, event.idempotency_key])
				}
			}
		}`)
	client := webhook.NewClient()
	defer client.CloseIdleConnections()
	handler := workOf(config, Resources{HTTPClient: client}).Handlers[0]
	event := anEvent()
	for range 2 {
		if err := handler.Handle(t.Context(), event); err != nil {
			t.Fatal(err)
		}
	}
	if len(clients) != 2 || clients[0] != clients[1] {
		t.Errorf("requests came from %v, want one connection for two", clients)
	}
	want := request{
		"PUT", "/b?amount=12.50", "ACME", `[42,"orders","","k-1","2026-01-02T03:04:05Z",2,7,"h/42"]`,
		string(event.Payload),
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("request (-want +got):\n%s", diff)
	}
}

func TestTickExpressions(t *testing.T) {
	out := filepath.Join(t.TempDir(), "out")
	config := parse(t, `
		cron "nightly" {
			schedule = "@daily"
			exec {
				command = ["/bin/sh", "-c", "printf '%s ' \"$@\" $CATCH_UP > `+out+`", "sh",
					run.job, run.scheduled_at, run.attempt, run.term, run.idempotency_key, run.manual]
				env     = { CATCH_UP = run.catch_up }
			}
		}`)
	if err := workOf(config, Resources{}).Crons[0].Run(t.Context(), aTick()); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(out)
	if err != nil {
		t.Fatal(err)
	}
	const want = "nightly 2026-01-02T03:00:00Z 1 7 nightly/2026-01-02T03:00:00Z false true "
	if string(got) != want {
		t.Errorf("wrote %q, want %q", got, want)
	}
}

func TestActionLogger(t *testing.T) {
	config := parse(t, `
		handler "h" {
			channel = "c"
			exec { command = ["/bin/echo", "a line"] }
		}`)
	var log bytes.Buffer
	resources := Resources{Logger: hclog.New(&hclog.LoggerOptions{Output: &log, Level: hclog.Trace})}
	if err := workOf(config, resources).Handlers[0].Handle(context.Background(),
		eventlog.Event{Handler: "h", Channel: "c"}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(log.String(), "a line") {
		t.Errorf("log %q lacks the program's output", &log)
	}
}

func TestEvaluationErrors(t *testing.T) {
	for _, test := range []struct{ name, arguments, payload, want string }{
		{"missing field", `url = "https://example.com/${event.payload.id}"`, `{}`,
			`evaluate url of webhook at config.hcl:6: Unsupported attribute: This object does not have an attribute ` +
				`named "id".`},
		{"missing header", `url = "https://example.com/${event.headers.url}"`, `{}`,
			`evaluate url of webhook at config.hcl:6: Missing map element`},
		{"null", "url = \"https://example.com\"\nsecret = event.payload.x", `{"x": null}`,
			`evaluate secret of webhook at config.hcl:7: Missing value`},
		{"number", "url = \"https://example.com\"\nsecret = event.payload", `7`,
			`evaluate secret of webhook at config.hcl:7: Wrong type`},
		{"not a URL", `url = "https://example.com/${raw(event.payload)}"`, `"%sesame"`,
			`value refused: evaluate url of webhook at config.hcl:6: Invalid url: The value is not a URL.`},
		{"above", `url = "https://example.com/a/${event.payload}"`, `"../../sesame"`,
			`value refused: evaluate url of webhook at config.hcl:6: Invalid url: A value makes a segment . or ..`},
		{"not a header", "url = \"https://example.com\"\nheaders = { x-a = event.payload }", `"sesame\r\nx-b: 1"`,
			`webhook: headers["x-a"] has a control character`},
		{"not a method", "url = \"https://example.com\"\nmethod = event.payload", `"sesame"`,
			`evaluate method of webhook at config.hcl:7: Invalid method`},
		{"not JSON", `url = "https://example.com/${event.payload.url}"`, `{"sesame`,
			`evaluate url of webhook at config.hcl:6: Unsupported attribute`},
	} {
		t.Run(test.name, func(t *testing.T) {
			config := parse(t,
				"topic \"orders\" {}\nhandler \"h\" {\ntopic = \"orders\"\nwebhook {\n"+test.arguments+"\n}\n}")
			event := anEvent()
			event.Payload, event.Headers = []byte(test.payload), nil
			err := workOf(config, Resources{}).Handlers[0].Handle(t.Context(), event)
			if err == nil || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("error = %v\nwant    %s", err, test.want)
			}
			if err != nil && strings.Contains(err.Error(), "sesame") {
				t.Errorf("error %v repeats the payload", err)
			}
		})
	}
}

// TestFileIsReadOnce holds that an expression sees a file as it was when the configuration was loaded.
func TestFileIsReadOnce(t *testing.T) {
	folder := t.TempDir()
	secret, out := filepath.Join(folder, "secret"), filepath.Join(folder, "out")
	if err := os.WriteFile(secret, []byte("first\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	config := parse(t, `
		handler "h" {
			channel = "c"
			exec { command = ["/bin/sh", "-c", "printf %s \"$1\" > `+out+`", "sh",
				"${file("`+secret+`")}-${event.payload}"] }
		}`)
	if err := os.WriteFile(secret, []byte("second\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := workOf(config, Resources{}).Handlers[0].Handle(t.Context(),
		eventlog.Event{Handler: "h", Channel: "c", Payload: []byte("plain text")}); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(out); err != nil || string(got) != "first-plain text" {
		t.Errorf("wrote %q, %v", got, err)
	}
}

// TestVariablesAgree holds the types that are assumed when a file is loaded against those of real events and ticks.
func TestVariablesAgree(t *testing.T) {
	for _, pair := range [][2]block.Scope{{unknownEvent(), eventScope(anEvent())},
		{unknownTick(), tickScope(aTick())}} {
		assumed, real := pair[0].Value.Type().AttributeTypes(), pair[1].Value.Type().AttributeTypes()
		if pair[0].Name != pair[1].Name || len(assumed) != len(real) {
			t.Errorf("%s has %d fields, %s has %d", pair[0].Name, len(assumed), pair[1].Name, len(real))
		}
		for name, want := range assumed {
			got, ok := real[name]
			if !ok || name != "payload" && !got.Equals(want) {
				t.Errorf("%s.%s is a %#v, assumed %#v", pair[0].Name, name, got, want)
			}
		}
	}
}

func TestPayloadValue(t *testing.T) {
	deep := strings.Repeat("[", 200_000)
	for _, payload := range []string{``, `{`, `[1`, `null`, `1e400`, `{"a":1,"a":2}`, "\xff", deep,
		deep + strings.Repeat("]", 200_000)} {
		value := payloadValue([]byte(payload))
		if !json.Valid([]byte(payload)) && value.AsString() != payload && payload != "\xff" {
			t.Errorf("payload %.20q became %.20q", payload, value.AsString())
		}
	}
	decomposed := payloadValue([]byte(`{"e\u0301tat": 1, "other": [null, true]}`))
	if !decomposed.Type().IsObjectType() || !decomposed.Type().HasAttribute("état") ||
		!decomposed.Type().HasAttribute("other") {
		t.Errorf("an object with a name that is not in NFC became %#v", decomposed)
	}
}
