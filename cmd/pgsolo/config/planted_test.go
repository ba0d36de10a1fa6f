package config

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

const planted = "Pl4nted-Secret_Value"

// shows says whether a text has a part of what was planted, in whatever case.
func shows(text string) bool {
	return strings.Contains(strings.ToLower(text), "pl4nted") || strings.Contains(strings.ToLower(text), "t_value")
}

// misuses are expressions that are wrong with many a value, %[1]s.
var misuses = []string{
	`%[1]s`, `"${%[1]s}"`, `"a ${%[1]s} b"`, `(%[1]s)`, `[%[1]s]`, `{ a = %[1]s }`, `{ (%[1]s) = "x" }`,
	`{ for k in [%[1]s, %[1]s] : k => "x" }`, `{ for k, v in { a = %[1]s, b = %[1]s } : v => k }`,
	`{ for k in [%[1]s] : k => k }[%[1]s]`, `[for k in %[1]s : k]`, `{ a = 1 }[%[1]s]`, `{ a = 1 }[upper(%[1]s)]`,
	`{ (%[1]s) = 1 }.a`, `{ (%[1]s) = 1 }["b"]`, `[1][%[1]s]`, `%[1]s.a`, `%[1]s[0]`, `%[1]s["a"]`, `%[1]s.0`,
	`%[1]s.*.a`, `%[1]s[*].a`,
	`%[1]s + 1`, `-%[1]s`, `!%[1]s`, `%[1]s && true`, `%[1]s > 1`, `%[1]s ? "a" : "b"`, `true ? %[1]s : 1`,
	`true ? %[1]s : [1]`, `%[1]s == 1 ? "a" : {}`, `format(%[1]s, 1)`, `format("%%d", %[1]s)`,
	`format("%%s%%s", %[1]s)`,
	`format("%%q", %[1]s)`, `format("%%${%[1]s}", 1)`, `format("%%s", %[1]s, %[1]s)`, `join(%[1]s, "a")`,
	`join(",", %[1]s)`, `join(",", [[%[1]s]])`,
	`join(%[1]s)`, `jsonencode(%[1]s)`, `jsonencode({ a = %[1]s })`, `lower(%[1]s)`, `upper([%[1]s])`,
	`lower(%[1]s, 1)`,
	`try(%[1]s.a)`, `try(%[1]s)`, `try({ a = 1 }[%[1]s], {}[%[1]s])`, `try(tonumber(%[1]s))`, `env(%[1]s)`,
	`env("NONE-${%[1]s}")`,
	`file(%[1]s)`, `file("/none/${%[1]s}")`, `env("NONE", %[1]s)`, `hostport(%[1]s, 99999)`, `hostport("h", %[1]s)`,
	`hostport("${%[1]s}%%a", 1)`, `hostport(%[1]s, %[1]s)`, `raw(%[1]s)`, `urlencode([%[1]s])`, `"https://${%[1]s}"`,
	`"https://u:${%[1]s}@h:x/"`, `"htp://${%[1]s}/"`, `"postgres://u:${%[1]s}@h:x/d"`, `"postgres://u@h/d?${%[1]s}=1"`,
	`"postgres://u@h/d?sslmode=${%[1]s}"`, `"%%{ for x in %[1]s }${x}%%{ endfor }"`, `"%%{ if %[1]s }a%%{ endif }"`,
	`[for x in [%[1]s] : x if x]`, `{ for x in [%[1]s] : x => x... }`, `[%[1]s...]`, `null`, `unknown(%[1]s)`,
	`{ a = %[1]s, a = %[1]s }.b`, `[{ (%[1]s) = 1 }][0].c`, `%[1]s %% 2`, `[for k, v in { (%[1]s) = 1 } : v.x]`,
}

// places are where an expression may stand; %s.
var places = []string{
	`postgres { url = %s }`, postgresBlock + "http {\nadvertise = %s\n}", postgresBlock + "http {\nlisten = %s\n}",
	postgresBlock + "log {\nlevel = %s\n}", postgresBlock + "election \"a\" {\nlease = %s\n}",
	postgresBlock + "topic \"a\" {\nretention = %s\nmax_payload = %s\n}",
	postgresBlock + "cron \"a\" {\nschedule = %s\nexec { command = [\"ls\"] }\n}",
	postgresBlock + "cron \"a\" {\nschedule = [%s]\ntime_zone = %s\nenabled = %s\nexec { command = [\"ls\"] }\n}",
	postgresBlock + "topic \"t\" {}\nhandler \"a\" {\ntopic = %s\nwhen = %s\nconcurrency = %s\nexec { command = " +
		"[\"ls\"] }\n}",
	inHandler("exec {\ncommand = %s\n}"), inHandler("exec {\ncommand = [%s]\nenv = %s\n}"),
	inHandler("exec {\ncommand = [\"ls\", %s]\nenv = { A = %s }\ndir = %s\n}"),
	inHandler("webhook {\nurl = %s\n}"), inHandler("webhook {\nurl = \"https://h/\"\nsecret = %s\nmethod = %s\n}"),
	inHandler("webhook {\nurl = \"https://h/\"\nheaders = { A = %s }\n}"),
	inHandler("webhook {\nurl = \"https://h/\"\nheaders = %s\n}"), inHandler("sql {\nstatement = %s\n}"),
	inHandler("sql {\nstatement = \"select $1\"\nargs = [%s, 1]\n}"),
}

func inHandler(action string) string {
	return postgresBlock + "topic \"t\" {}\nhandler \"a\" {\ntopic = \"t\"\n" + action + "\n}"
}

// A planted secret of any source is in no message, and in no line of the source that a message quotes.
func TestPlantedSecretsAreNotShown(t *testing.T) {
	t.Parallel()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "planted"), []byte(planted+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	tried, wrong := 0, 0
	try := func(source string) {
		tried++
		_, err := Parse(filepath.Join(folder, "config.hcl"), []byte(source), func(name string) (string, bool) {
			if name == "PLANTED" {
				return planted, true
			}
			return foreignEnv(name)
		})
		if err == nil {
			return
		}
		wrong++
		var out bytes.Buffer
		mistakes, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatal(err)
		}
		if err := mistakes.Write(&out, 0, false); err != nil {
			t.Fatal(err)
		}
		if shows(err.Error()) || shows(out.String()) {
			t.Errorf("%s\nshows it: %v\n%s", source, err, &out)
		}
	}
	fill := func(place, misuse, source string) {
		try(strings.ReplaceAll(place, "%s", fmt.Sprintf(misuse+"%[2]s", source, "")))
	}
	literals := []string{
		`"https://u:` + planted + `@h/"`, `"https://` + planted + `@h/"`, `"https://h/?token=` + planted + `"`,
		`"https://h/?a=b&key=` + planted + `#c"`, `"postgres://u:` + planted + `@h/d"`, `"h/x?token=` + planted + `"`,
		`"postgres://u@h/d?password=` + planted + `"`, `"host=h password='` + planted + `'"`,
		`"https://u:` + planted + `@h:x/?a=` + planted + `"`, `"htp://u:` + planted + `@h/"`,
		`"https://h/?a=${1}` + planted + `"`, `"https://u:${1}` + planted + `@h/"`,
	}
	secrets := []string{`"` + planted + `"`, `"whsec_` + planted + `"`, `"a${1}` + planted + `"`}
	urls := []int{0, 1, 2, 12, 13} // places for those
	for i, misuse := range misuses {
		for j, place := range places {
			if (i+j)%3 == 0 {
				fill(place, misuse, `env("PLANTED")`)
			}
			if (i+j)%6 == 0 {
				fill(place, misuse, `file("planted")`)
				fill(place, misuse, `lower(env("PLANTED"))`)
			}
		}
		for j := i % 3; j < len(literals); j += 3 {
			literal := literals[j]
			fill(places[urls[(i+j)%len(urls)]], misuse, literal)
		}
		for j, place := range []string{
			inHandler("webhook {\nurl = \"https://h/\"\nsecret = %s\n}"),
			inHandler("webhook {\nurl = \"https://h/\"\nheaders = { A = %s, \"x-api-key\" = %s }\nmethod = 1\n}"),
			inHandler("exec {\ncommand = [\"ls\"]\nenv = { API_TOKEN = %s, B = [1] }\n}"),
		} {
			fill(place, misuse, secrets[(i+j)%len(secrets)])
		}
	}
	t.Logf("%d configurations, %d of them wrong", tried, wrong)
	if wrong < tried/2 {
		t.Errorf("only %d of %d are wrong", wrong, tried)
	}
}

// Nor is what an event has, or env beside it, in the error of an attempt.
func TestPlantedValuesAreNotInErrors(t *testing.T) {
	t.Parallel()
	event := anEvent()
	event.Key, event.Payload = planted, []byte(`{"a": "`+planted+`"}`)
	env := func(name string) (string, bool) {
		if name == "PLANTED" {
			return planted, true
		}
		return testEnv(name)
	}
	failed := 0
	for i, misuse := range misuses {
		for j, source := range []string{`event.key`, `event.payload`, `event.payload.a`,
			`"${env("PLANTED")}${event.key}"`} {
			expr := fmt.Sprintf(misuse+"%[2]s", source, "")
			argument := []string{"secret = " + expr, "headers = { A = " + expr + " }", "method = " + expr}[(i+j)%3]
			config, err := Parse("config.hcl",
				[]byte(inHandler("webhook {\nurl = \"http://127.0.0.1:1/\"\n"+argument+"\n}")), env)
			if err != nil {
				continue
			}
			if err := workOf(config, Resources{}).Handlers[0].Handle(t.Context(), event); err != nil {
				failed++
				if shows(err.Error()) {
					t.Errorf("%s: %v", argument, err)
				}
			}
		}
	}
	if failed < 100 {
		t.Errorf("only %d attempts have failed", failed)
	}
}
