package config

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"testing"

	"github.com/zclconf/go-cty/cty"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/jobs/webhook"
)

// Whatever an event has: what is only referred to arrives byte for byte, no value leads a request elsewhere, and
// nothing panics.
func FuzzEventExpressions(f *testing.F) {
	for _, payload := range []string{
		``, `{`, `null`, `1.10`, `"a"`, `[]`, `{}`, `{"a": {"e\u0301": 1.10, "é": [1e2]}, "n": "a"}`,
		`[[[{"a": [null]}]]]`,
		`{"a": 1, "a": 2}`, `1e400`, `-0`, `{"": "\ud800"}`, "{\"a\": \"\xff\"}", `{"a":"../../x"}`, ` {"a" : ".." } `,
		strings.Repeat("[", 200) + strings.Repeat("]", 200), `{"a": "` + strings.Repeat("x", 5000) + `"}`, `{"0":0}`,
	} {
		f.Add("../k\u0301", "a", []byte(payload))
		f.Add("\xff\x00%2e?#", "0", []byte(payload))
	}
	texts := []string{`[event.payload]`, `[event.payload.a]`, `[event.payload[event.headers.h]]`, `event.payload`,
		`[jsonencode(event.payload)]`, `["${event.payload.a}-${event.key}"]`, `[for k, v in event.payload : v]`,
		`[try(event.payload.a.b[0], event.payload[0], null)]`, `[event.payload.*.a]`, `[event.payload[0][0]]`,
		`[lower(event.key), upper(event.key), urlencode(event.key), raw(event.key), event.key == event.payload]`,
		`[format("%s %v", event.key, event.payload)]`, `[{ a = event.payload, b = event.headers }]`}
	env := func(string) (string, bool) { return "", false }
	f.Fuzz(func(t *testing.T, key, header string, payload []byte) {
		event := eventlog.Event{ID: 1, Handler: "h", Key: key, Payload: payload,
			Headers: map[string]string{"h": header}}
		var list []any
		for _, source := range texts {
			_ = evaluate(t, source, event, env, block.List(&list))
		}
		if err := evaluate(t, `[event.key, "${event.headers.h}"]`, event, env, block.List(&list)); err != nil ||
			list[0] != key || list[1] != header {
			t.Errorf("%q and %q became %q, %v", key, header, list, err)
		}
		if json.Valid(payload) && evaluate(t, `[event.payload]`, event, env, block.List(&list)) == nil {
			raw, isRaw := list[0].(json.RawMessage)
			if isRaw && !bytes.Equal(raw, payload) {
				t.Errorf("%q became %q", payload, raw)
			}
			if number, is := list[0].(json.Number); is && string(number) != string(bytes.TrimSpace(payload)) {
				t.Errorf("%q became %q", payload, number)
			}
		}
		for source, folder := range map[string]string{
			`"https://h/a/${event.key}?b=${event.headers.h}&c=${event.id}"`: "/a/",
			`"https://h/a/${raw(event.key)}"`:                               "/a/",
			`"https://h/${event.headers.h}/${event.key}"`:                   "/", `"https://h?${raw(event.key)}"`: "",
		} {
			var built string
			if evaluate(t, source, event, env, webURL(&built)) != nil {
				continue
			}
			parsed, err := url.Parse(built)
			if err != nil || parsed.Host != "h" || parsed.Scheme != "https" || parsed.User != nil ||
				!strings.HasPrefix(parsed.JoinPath().Path, folder) || climbs(built) {
				t.Errorf("%s is %q", source, built)
			}
			if (webhook.Request{URL: built}).Validate() != nil {
				t.Errorf("%s is %q, which webhook refuses", source, built)
			}
			if strings.Contains(source,
				"?b=") && (parsed.Query().Get("b") != header || parsed.Query().Get("c") != "1" ||
				parsed.Path != "/a/"+key) {
				t.Errorf("%s is %q", source, built)
			}
		}
		payloadMembers(payload, map[string]bool{"a": true, header: true})
		if value := payloadValue(payload); value == cty.NilVal {
			t.Error("no value")
		}
	})
}

// What is accepted can be used, and nothing of what is refused is repeated but names that are known.
func FuzzPostgresURL(f *testing.F) {
	for _, text := range []string{"", "postgres://", "postgres://u:hunter2@h/d",
		"postgres://u:hunter2@a:1,b:2/d?sslmode=x",
		"postgresql://[::1]:1/d?SSLMODE=a&a.b=c", "postgres://h/d?hunter2=1", "host=h password=hunter2",
		"postgres://u:hunter2?@h", "postgres://u:hunter2#@h/", "postgres://u@h/d?options=-c%20a%3Db", "postgres://%",
		"://"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		problem := checkPostgresURL(text)
		if strings.Contains(problem, "hunter2") {
			t.Errorf("%q: %s", text, problem)
		}
		if problem != "" {
			return
		}
		if _, err := (Postgres{URL: text}).PoolConfig(); err != nil {
			t.Errorf("%q is accepted: %v", text, err)
		}
	})
}

func FuzzWebURL(f *testing.F) {
	for _, text := range []string{"", "https://h", "http://u:p@h:1/a?b#c", "htp://h", "https:///x", "h/x",
		"https://[::1%25a]/",
		"https://h/%zz", "https://h/\n", "HTTP://H/", "https://h:99999/", "https://@/", "https://h/../%2e%2e"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if checkWebURL(block.Text{Value: text}) != "" {
			return
		}
		if err := (webhook.Request{URL: text}).Validate(); err != nil {
			t.Errorf("%q is accepted: %v", text, err)
		}
		climbs(text)
	})
}
