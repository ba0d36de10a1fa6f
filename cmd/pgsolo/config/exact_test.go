package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// What an argument only refers to arrives byte for byte, in whatever form of Unicode; what a function makes is in NFC.
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

		`[event.payload.deep]`:                 {json.RawMessage(`{"x": [{"y": "` + e + `", "n": 1.50}]}`)},
		`[upper(event.key), "a ${event.key}"]`: {"CAF\u00c9", "a " + e},
		`[event.key == "caf\u00e9"]`:           {true},
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

// So do parts of a payload that are objects and lists, numbers, and literals of the file: names that differ only in
// their normal form stay two, zeros and the order of names stay.
func TestPartsArriveByteForByte(t *testing.T) {
	const (
		e   = "e\u0301"
		sub = `{"` + e + `":1.10, "\u00e9" : [1e2,  "<\u0065>"]}`
	)
	payload := ` { "sub": ` + sub + `, "n": 1.10, "list": [` + sub + `, 2.50, "` + e + `", true, null], ` +
		`"é` + e + `": "x", "one": {"` + e + `": 1, "é": 2}, "deep": {"a": [[` + sub + `]]}}`
	event := eventlog.Event{ID: 1, Handler: "h", Key: "0", Payload: []byte(payload),
		Headers: map[string]string{"n": "sub", e: "<", "\u00e9": e}}
	env := func(string) (string, bool) { return "", false }
	raw, number := func(s string) any { return json.RawMessage(s) }, func(s string) any { return json.Number(s) }
	for source, want := range map[string][]any{
		`[event.payload, event.payload.sub]`:                           {raw(payload), raw(sub)},
		`[(event.payload.sub), "${event.payload["sub"]}"]`:             {raw(sub), raw(sub)},
		`[event.payload.list[0], event.payload.deep.a[0][0]]`:          {raw(sub), raw(sub)},
		`[event.payload[event.headers.n], event.payload.list.0]`:       {raw(sub), raw(sub)},
		`event.payload.list`:                                           {raw(sub), number("2.50"), e, true, nil},
		`[event.payload.n, "${event.payload.n}", event.payload.n + 1]`: {number("1.10"), number("1.10"), number("2.1")},
		`["n=${event.payload.n}"]`:                                     {"n=1.10"},

		`[jsonencode(event.payload), "${jsonencode(event.payload.sub)}"]`: {payload, sub},

		`["a=${jsonencode(event.payload.sub)}"]`:        {"a=" + sub},
		`[event.key == "0" ? event.payload.sub : null]`: {raw(sub)},
		`[try(event.payload.no, event.payload.sub)]`:    {raw(sub)},
		`[event.payload.one["` + e + `"], event.payload.one["\u00e9"], event.headers["` + e + `"]]`: {
			number("2"), number("2"), e},
		`[event.headers]`: {raw(`{"` + e + `":"<","n":"sub","é":"` + e + `"}`)},
		`event.key == "0" ? [event.payload.sub] : []`:             {raw(sub)},
		`["` + e + `", "x${"` + e + `"}\n\\u$${"]`:                {e, "x" + e + "\n\\u${"},
		"[<<-X\n  a" + e + "\n  X\n]":                             {"a" + e + "\n"},
		`[event.payload.one["` + e + `"] > 0]`:                    {true},
		`[lower("` + e + `"), jsonencode({a = event.payload.n})]`: {"\u00e9", `{"a":1.1}`}, // computed
	} {
		var list []any
		if err := evaluate(t, source, event, env, block.List(&list)); err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if diff := cmp.Diff(want, list); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}

// An argument that is one string, and the values of an object.
func TestStringsArriveByteForByte(t *testing.T) {
	const e = "e\u0301"
	event := eventlog.Event{ID: 1, Handler: "h", Key: e,
		Payload: []byte(`{"n": 1.10, "s": {"` + e + `": "` + e + `"}}`)}
	env := func(string) (string, bool) { return e, true }
	var text string
	decode := block.String(&text, func(block.Text) string { return "" })
	for source, want := range map[string]string{
		`"/` + e + `/${event.key}/${event.payload.n}/${env("X")}"`: "/" + e + "/" + e + "/1.10/" + e,
		`event.key`: e, `jsonencode(event.payload.s)`: `{"` + e + `": "` + e + `"}`,
	} {
		if err := evaluate(t, source, event, env, decode); err != nil || text != want {
			t.Errorf("%s is %q, %v, want %q", source, text, err, want)
		}
	}
	pairs := map[string]string{}
	err := evaluate(t, `{ a = event.payload.n, b = "`+e+`", c = "${event.key}-" }`, event, env,
		block.StringMap(&pairs, func(string) string { return "" }))
	if diff := cmp.Diff(map[string]string{"a": "1.10", "b": e, "c": e + "-"}, pairs); err != nil || diff != "" {
		t.Errorf("%v, %s", err, diff)
	}
}
