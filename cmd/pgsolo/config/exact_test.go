package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2"
	"github.com/hashicorp/hcl/v2/hclsyntax"

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
		expr, diags := hclsyntax.ParseExpression([]byte(source), "config.hcl", hcl.InitialPos)
		if diags.HasErrors() {
			t.Fatal(diags)
		}
		var list []any
		var texts []string
		found := &hclsyntax.Block{Type: "sql", Body: &hclsyntax.Body{Attributes: hclsyntax.Attributes{
			"args": &hclsyntax.Attribute{Name: "args", Expr: expr},
		}}}
		err := block.NewLanguage("config.hcl", env, nil, "").Evaluate(found,
			func() block.Scope { return eventScope(event) }, []block.Argument{{Name: "args", Value: block.List(&list)}})
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
		if strings.Contains(source, "deep") || strings.Contains(source, "==") {
			continue
		}
		err = block.NewLanguage("config.hcl", env, nil, "").Evaluate(found,
			func() block.Scope { return eventScope(event) }, []block.Argument{{Name: "args",
				Value: block.Strings(&texts, func([]string) string { return "" })}})
		if err != nil {
			t.Fatal(err)
		}
		for i, text := range texts {
			if text != want[i] {
				t.Errorf("%s: element %d is %q, want %q", source, i, text, want[i])
			}
		}
	}
}
