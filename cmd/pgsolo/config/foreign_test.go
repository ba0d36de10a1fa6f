package config

import (
	"fmt"
	"strings"
	"testing"
)

const postgresBlock = "postgres { url = env(\"DATABASE_URL\") }\n"

// messages are what is wrong with an action of a handler.
func messages(t *testing.T, action string) string {
	t.Helper()
	_, err := Parse("config.hcl",
		[]byte(postgresBlock+"topic \"t\" {}\nhandler \"h\" {\ntopic = \"t\"\n"+action+"\n}\n"),
		foreignEnv)
	if err == nil {
		return ""
	}
	return err.Error()
}

func foreignEnv(name string) (string, bool) {
	if value, ok := map[string]string{"SET": "a", "SHELL": "/bin/sh", "URL": "https://h"}[name]; ok {
		return value, true
	}
	return testEnv(name)
}

// Wherever an event's data gets into the text of a program from, validate refuses it, and says what to write.
func TestEventInAProgram(t *testing.T) {
	for _, text := range []string{
		`event.key`, `"echo ${event.key}"`, `event.payload`, `"echo ${event.payload.a.b[0]}"`,
		`"${event.headers.tenant}"`, `event.headers["a"]`, `format("echo %s", event.key)`,
		`join(" ", ["echo", event.key])`,
		`join(" ", [for x in event.payload.list : x])`, `join(" ", event.payload.list[*].name)`, `lower(event.key)`,
		`upper("echo ${event.key}")`, `jsonencode(event.payload)`, `jsonencode({ a = [event.key] })`,
		`event.id == 1 ? "true" : event.key`, `event.key == "" ? "true" : "echo ${event.key}"`,
		`try(event.payload.x, "true")`,
		`try(event.payload.x, event.key)`, `"${"${event.key}"}"`, `(event.key)`, `{ a = event.key }.a`,
		`[event.key][0]`,
		`{ a = event.key }[event.channel]`, `event["key"]`, `"%{ if event.id == 1 }${event.key}%{ endif }"`,
		`"%{ for x in event.payload.list }${x}%{ endfor }"`, `jsonencode(event)`, `[for k, v in event.headers : k][0]`,
		`join("", [for x in ["a"] : event.key])`, `raw(event.key)`, `urlencode(event.key)`,
		`"echo ${env("SET")} ${event.key}"`, "<<-X\n  echo ${event.key}\n  X\n",
	} {
		got := messages(t, "exec {\ncommand = [\"sh\", \"-c\", "+text+"]\n}")
		if !strings.Contains(got, `["sh", "-c", "echo \"$1\"", "sh", event.key]`) ||
			strings.HasSuffix(got, "more mistake)") {
			t.Errorf("%s: %q", text, got)
		}
	}
	for _, command := range []string{
		`event.payload.command`, `[for x in ["sh", "-c", event.key] : x]`,
		`event.id == 1 ? ["sh", "-c", event.key] : ["ls"]`,
		`try(event.payload.command, ["ls"])`, `[event.key]`, `["sh", event.id == 1 ? "-c" : "-x", event.key]`,
		`["sh", "-c${event.key}"]`, `[env("SHELL"), "-c", event.key]`, `[event.id == 1 ? "ls" : "sh", "-c", event.key]`,
		`["env", "${event.key}=x", "ls"]`, `["sh"]`, `[for x in ["sh"] : x]`,
	} {
		if got := messages(t, "exec {\ncommand = "+command+"\n}"); !strings.Contains(got, "Event in command") {
			t.Errorf("%s: %q", command, got)
		}
	}
}

// What is pgsolo's own, or the writer's of the configuration, may stand there, and an event's data elsewhere.
func TestEventBesideAProgram(t *testing.T) {
	for _, arguments := range []string{
		`"-c", "echo \"$1\"", "sh", event.key`, `"-c", "echo ${event.id} ${event.attempt} ${event.term}"`,
		`"-c", "echo ${event.created_at} ${event.idempotency_key} ${event.topic}${event.channel}"`,
		`"-c", "echo ${env("SET")}"`,
		`"-c", event.key == "a" ? "true" : "false"`, `"-c", { a = "true" }[event.key]`,
		`"-c", "exit ${event.payload.n + 1}"`,
		`"-c", "true", "sh", event.payload, jsonencode(event.headers)`, `"-c", [for x in ["a"] : "true"][0]`,
		`"-c", "test ${event.key == "a"}"`,
	} {
		if got := messages(t, "exec {\ncommand = [\"sh\", "+arguments+"]\n}"); got != "" {
			t.Errorf("%s: %s", arguments, got)
		}
	}
	if got := messages(t, `exec {
		command = ["sh", "-c", "echo $KEY"]
		env     = { KEY = event.key, PATH = "/bin" }
	}`); got != "" {
		t.Error(got)
	}
	cron := "cron \"c\" {\nschedule = \"@daily\"\nexec { command = [\"sh\", \"-c\", \"echo ${run.job} " +
		"${run.scheduled_at}\"] }\n" +
		"}\ncron \"d\" {\nschedule = \"@daily\"\nexec { command = [\"sh\"] }\n}\n"
	if _, err := Parse("config.hcl", []byte(postgresBlock+cron), foreignEnv); err != nil {
		t.Error(err)
	}
}

// Nor does an event choose names, nor what programs and receivers go by.
func TestEventInNames(t *testing.T) {
	for arguments, want := range map[string]string{
		`env = { (event.key) = "x" }`:                   "must not choose it",
		`env = { "A${event.key}" = "x" }`:               "must not choose it",
		`env = event.headers`:                           "Write them out",
		`env = { for k, v in event.headers : k => v }`:  "Write them out",
		`env = { LD_PRELOAD = event.key }`:              "must not set it",
		`env = { "BASH_ENV" = "/x/${event.key}" }`:      "must not set it",
		`env = { KEY = event.key, PATH = env("SET") }`:  "",
		`env = { for k in ["a"] : k => "x" }`:           "",
		`env = { for k in ["a"] : k => event.key }`:     "Write them out",
		`dir = "/${event.key}"`:                         "",
		"dir = \"/${event.key}\"\ncommand = [\"./ls\"]": "whole path",
	} {
		if !strings.Contains(arguments, "command") {
			arguments += "\ncommand = [\"ls\"]"
		}
		if got := messages(t, "exec {\n"+arguments+"\n}"); (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", arguments, got)
		}
	}
	for headers, want := range map[string]string{
		`{ (event.key) = "x" }`: "must not choose it", `event.headers`: "Write them out",
		`{ Host = event.key }`: "must not set it", `{ host = "x-${event.payload.a}" }`: "must not set it",
		`{ x-key = event.key, host = "example.com" }`: "",
	} {
		got := messages(t, "webhook {\nurl = \"https://example.com/\"\nheaders = "+headers+"\n}")
		if (got == "") != (want == "") || !strings.Contains(got, want) {
			t.Errorf("%s: %q", headers, got)
		}
	}
}

// Every program that may be started has to be there.
func TestProgramsOfAlternatives(t *testing.T) {
	for command, found := range map[string]bool{
		`[event.id == 1 ? "ls" : "cat"]`: true, `[event.id == 1 ? "ls" : "no-such-program"]`: false,
		`[event.id == 1 ? "no-such-program" : "ls", event.key]`: false, `[true ? "ls" : "no-such-program"]`: true,
		`event.id == 1 ? ["ls"] : ["no-such-program"]`: false, `event.id == 1 ? ["ls"] : ["cat", event.key]`: true,
		`[event.key == "a" ? "ls" : event.key == "b" ? "cat" : "no-such-program"]`: false,
		`[env("SET") == "x" ? "no-such-program" : "ls"]`:                           true,
		`[try({ a = "ls" }[event.channel], "no-such-program")]`:                    false,
	} {
		got := messages(t, "exec {\ncommand = "+command+"\n}")
		if (got == "") != found || !found && !strings.Contains(got, "no-such-program") {
			t.Errorf("%s: %q", command, got)
		}
	}
}

func TestManyAlternatives(t *testing.T) {
	part := `${event.id == 1 ? "a" : "b"}`
	for n, found := range map[int]bool{3: true, 40: false} {
		elements := strings.Repeat(fmt.Sprintf("event.id == 1 ? \"a\" : \"%s\", ", part), n)
		got := messages(t, "exec {\ncommand = [\"ls\", "+elements+" event.key]\n}")
		if (got == "") != found {
			t.Errorf("%d: %q", n, got)
		}
	}
}
