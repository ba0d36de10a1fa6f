package config

import (
	"encoding/json"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/hashicorp/hcl/v2/hclsyntax"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config/block"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

// args decodes a list as the argument of an action for anEvent.
func args(t *testing.T, source string) (got []any) {
	t.Helper()
	if err := evaluate(t, source, anEvent(), testEnv, block.List(&got)); err != nil {
		t.Fatal(err)
	}
	return got
}

// evaluate has a value decoded as the argument of an action for an event.
func evaluate(
	t *testing.T, source string, event eventlog.Event, env func(string) (string, bool), value block.Value,
) error {
	t.Helper()
	var action *hclsyntax.Block
	arguments := func(value block.Value) []block.Argument { return []block.Argument{{Name: "args", Value: value}} }
	language := block.NewLanguage("config.hcl", env, nil, "")
	err := block.NewDecoder(language).Decode("config.hcl", []byte("sql {\nargs = "+source+"\n}\n"), "the file",
		block.Body{Blocks: []block.Block{{Kind: "sql", Open: func(found *hclsyntax.Block) block.Body {
			action = found
			return block.Body{Arguments: arguments(func(*block.Decoder, *hclsyntax.Attribute) {})}
		}}}})
	if err != nil {
		t.Fatal(err)
	}
	return language.Evaluate(action, func() block.Scope { return eventScope(event) }, arguments(value))
}

func TestArgs(t *testing.T) {
	for source, want := range map[string][]any{
		`[]`:                    {},
		`["a", "", true, null]`: {"a", "", true, nil},
		`[1, 1.50, 12345678901234567890, -1e-7]`: {json.Number("1"), json.Number("1.5"),
			json.Number("12345678901234567890"), json.Number("-0.0000001")},
		`[event.id, event.key, event.headers]`: {json.Number("42"), "k-1", json.RawMessage(`{"tenant":"acme"}`)},

		`[event.payload]`: {json.RawMessage(`{"amount": 12.50, "tags": ["a", "b"], "note": null}`)},

		`event.payload.tags`:                           {"a", "b"},
		`[event.payload.note, [null, {}]]`:             {nil, json.RawMessage(`[null,{}]`)},
		`[for tag in event.payload.tags : upper(tag)]`: {"A", "B"},
	} {
		if diff := cmp.Diff(want, args(t, source)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}

// An event of a topic gets the statement in its transaction. Everything else needs sessions of its own.
func TestWhereStatementsRun(t *testing.T) {
	const action = "\nsql {\nstatement = \"select $1, $2, $3\"\nargs = %\n}\n}"
	for name, test := range map[string]struct {
		source        string
		inTransaction bool
		ownSession    bool
	}{
		"topic": {source: `topic "t" {}` + "\nhandler \"h\" {\ntopic = \"t\"" +
			strings.Replace(action, "%", "event.payload.list", 1), inTransaction: true},
		"channel": {source: "handler \"h\" {\nchannel = \"c\"" +
			strings.Replace(action, "%", "[1, event.payload, null]", 1), ownSession: true},
		"cron": {source: "cron \"c\" {\nschedule = \"@daily\"" +
			strings.Replace(action, "%", "[run.scheduled_at, run.job, run.attempt]", 1), ownSession: true},
		"exec": {source: "cron \"c\" {\nschedule = \"@daily\"\nexec {\ncommand = [\"/bin/ls\"]\n}\n}"},
	} {
		config := parse(t, test.source)
		e := config.Elections[0]
		inTransaction := len(e.Handlers) > 0 && workOf(config, Resources{}).Handlers[0].HandleTx != nil
		if inTransaction != test.inTransaction || e.NeedsSessions != test.ownSession {
			t.Errorf("%s: in a transaction %t, needs sessions %t", name, inTransaction, e.NeedsSessions)
		}
		mustRun(t, config)
	}
}

// What an expression cannot give is an error with its place and without values, before anything is sent.
func TestArgsThatFail(t *testing.T) {
	config := parse(t,
		"topic \"orders\" {}\nhandler \"h\" {\ntopic = \"orders\"\nsql {\nstatement = \"select $1\"\nargs = "+
			"[event.payload.id]\n}\n}")
	event := anEvent()
	event.Payload = []byte(`"sesame"`)
	err := workOf(config, Resources{}).Handlers[0].HandleTx(t.Context(), nil, event)
	const want = "evaluate args of sql at config.hcl:7: Unsupported attribute"
	if err == nil || !strings.HasPrefix(err.Error(), want) || strings.Contains(err.Error(), "sesame") {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
}
