package block

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"github.com/zclconf/go-cty/cty"
)

func TestValues(t *testing.T) {
	for source, want := range map[string]settings{
		``:                               {},
		`listen = ":80"`:                 {Listen: ":80"},
		`wait = "1m30s"`:                 {Wait: 90 * time.Second},
		`count = 10000`:                  {Count: 10_000},
		`count = env("COUNT")`:           {Count: 7},
		`fraction = 0.5`:                 {Fraction: 0.5},
		`on = true`:                      {On: true},
		`on = env("ABSENT", "true")`:     {On: true},
		`words = ["a", 1, true]`:         {Words: []string{"a", "1", "true"}},
		`pairs = { a = "b", c = 1 }`:     {Pairs: map[string]string{"a": "b", "c": "1"}},
		`values = [null, 1.50, "a", {}]`: {Values: []any{nil, json.Number("1.5"), "a", json.RawMessage("{}")}},
	} {
		want.Level = "info"
		got, _, err := decode("x.hcl", "log {\nlevel = \"info\"\n"+source+"\n}")
		if err != nil {
			t.Errorf("%s: %v", source, err)
			continue
		}
		if diff := cmp.Diff(&want, got, cmpopts.IgnoreUnexported(settings{})); diff != "" {
			t.Errorf("%s (-want +got):\n%s", source, diff)
		}
	}
}

func TestMistakes(t *testing.T) {
	const info = "log {\nlevel = \"info\"\n"
	target := func(expression string) string {
		return info + "}\njob \"a\" {\naction { target = " + expression + " }\n}"
	}
	for source, want := range map[string]string{
		`log {}`: `Missing argument: The log block needs the argument level, for example: level = "info"`,
		``:       `Missing block: The file needs a log block, for example: log { }`,

		`log { levle = "info" }`:       `Unknown argument: There is no argument levle in the log block. Did you mean`,
		`log "x" { level = "info" }`:   `Unexpected name: The block log takes no name. Write: log { … }`,
		`log { level = env("SECRET")}`: `Invalid level: The value (not shown: it may be secret) is not one`,
		`log { level = env("NONE") }`:  `Missing environment variable: The environment variable NONE is not set.`,
		`log { level = event.key }`:    `Unknown variable: There is no variable event here. It exists only in`,
		`log { level = foo.bar }`:      `Unknown variable: There is no variable foo here. Variables exist only`,
		`log { level = uper("a") }`:    `Unknown function: There is no function uper. Did you mean upper?`,

		info + "}\nlog {\n}":       `Duplicate block: The file takes one log block, and this is another one.`,
		info + "}\njob {\n}":       `Missing name: The block job needs a name. Write: job "name" { … }`,
		info + "}\njob \"a\" {\n}": `Missing block: job "a" needs a action block, for example: action { }`,
		info + "}\njbo \"a\" {\n}": `Unknown block: There is no block jbo in the file. Did you mean job?`,
		info + "wait = 5\n}":       `Wrong type: A duration is a string with a unit, not a number. Did you mean "5s"?`,
		info + "wait = \"0s\"\n}":  `Invalid wait: The duration must be above zero.`,
		info + "count = 0\n}":      `Invalid count: The argument count is a whole number from 1 to 10000.`,
		info + "fraction = 1\n}":   `Invalid fraction: The argument fraction is a fraction: at least 0, and below 1.`,
		info + "on = yes\n}":       `Wrong type: The argument on is true or false. Did you mean on = true?`,
		info + "listen = null\n}":  `Missing value: The argument listen must not be null.`,
		target("event"):            `Wrong type: The argument target is a string, not an object.`,
		target("event.kye"):        `Unknown field: There is no kye in event. Did you mean key?`,
		target("env(event.key)"):   `Variable in env: What env reads is settled when the configuration is loaded.`,
	} {
		_, message, _ := strings.Cut(refused(t, source).Error(), ": ")
		if !strings.HasPrefix(message, want) {
			t.Errorf("%s\ngot  %s\nwant %s", source, message, want)
		}
	}
}

// An argument that uses the variable is checked again with its value, and no message repeats that.
func TestEvaluate(t *testing.T) {
	to, language, err := decode("x.hcl", "log { level = \"info\" }\njob \"a\" {\naction {\ntarget = event.key\n}\n}")
	if err != nil {
		t.Fatal(err)
	}
	if to.Target != "" {
		t.Errorf("an unknown value became %q", to.Target)
	}
	with := func(value cty.Value) error {
		return language.Evaluate(to.action, func() Scope {
			return Scope{Name: "event", Value: cty.ObjectVal(map[string]cty.Value{"key": value})}
		}, to.actionArguments())
	}
	if err := with(cty.StringVal("k-1")); err != nil || to.Target != "k-1" {
		t.Errorf("target %q, %v", to.Target, err)
	}
	const want = "evaluate target of action at x.hcl:4: Wrong type: The argument target is a string, not a number."
	if err := with(cty.NumberIntVal(4711)); err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
}

func TestNearest(t *testing.T) {
	words := []string{"retry", "timeout", "on"}
	for given, want := range map[string]string{
		"Retry": "retry", "ertry": "retry", "tiemout": "timeout", "timeouts": "timeout", "no": "on", "xyz": "", "": "",
	} {
		if got := Nearest(given, words); got != want {
			t.Errorf("%q: %q, want %q", given, got, want)
		}
	}
}
