package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// What an argument only refers to arrives byte for byte, in whatever form of Unicode; what is computed is in NFC.
func TestArgumentsArriveByteForByte(t *testing.T) {
	const e = "cafe\u0301" // é as two characters
	event := eventlog.Event{
		ID: 1, Handler: "h", Key: e, Headers: map[string]string{"h": e},
		Payload: []byte(strings.ReplaceAll(
			`{"name": "%", "list": ["a", "%"], "deep": {"x": [{"y": "%", "n": 1.50}]}}`, "%", e)),
	}
	env := func(string) (string, bool) { return e, true }
	for source, want := range map[string][]any{
		`[event.payload.name, event.key, event.headers.h]`:  {e, e, e},
		`["${event.key}", event.payload["name"], env("X")]`: {e, e, e},
		`event.payload.list`:                                   {"a", e},
		`[for x in event.payload.list : x]`:                    {"a", e},
		`[true ? event.key : "x", try(event.payload.no, "-")]`: {e, "-"},
		`[event.payload.deep]`:                                 {json.RawMessage(`{"x":[{"n":1.5,"y":"` + e + `"}]}`)},
		`[upper(event.key), "a ${event.key}"]`:                 {"CAF\u00c9", "a caf\u00e9"},
		`[event.key == "caf\u00e9"]`:                           {true},
	} {
		var list []any
		if err := evaluate(t, source, event, env, block.List(&list)); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
		if strings.Contains(source, "deep") || strings.Contains(source, "==") {
			continue
		}
		var texts []string
		decode := block.Strings(&texts, func([]string) string { return "" })
		if err := evaluate(t, source, event, env, decode); err != nil {
			t.Fatal(err)
		}
		asText := make([]any, len(texts))
		for i, text := range texts {
			asText[i] = text
		}
		if diff := cmp.Diff(want, asText); diff != "" {
			t.Errorf("%s, as strings (-want +got):\n%s", source, diff)
		}
	}
}
