package main

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/config"
	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
)

func TestMain(m *testing.M) {
	os.Exit(pgtest.Main(m, pgtest.Migrating(jobs.DefaultSchema, election.Migrate, jobs.Migrate)))
}

// What the README promises to work on a fresh machine is what CI runs.
func TestREADMEAgreesWithCI(t *testing.T) {
	readme, ci := read(t, "../../README.md"), read(t, "../../.ci/run")
	screen := strings.Join(strings.Split(readme, "\n")[:40], "\n")
	promised := regexp.MustCompile(`(?m)^    (go .*)$`).FindAllStringSubmatch(screen, -1)
	var commands []string
	for _, match := range promised {
		commands = append(commands, match[1])
	}
	if want := []string{"go run ./cmd/pgsolo demo", "go test ./..."}; !slices.Equal(commands, want) {
		t.Fatalf("the README's first screen has the commands %q, want %q", commands, want)
	}
	for _, command := range commands {
		// CI may add flags; the step's headline is not the command.
		command := strings.ReplaceAll(regexp.QuoteMeta(command), "go test", "go test( -race)?")
		if !regexp.MustCompile(`(?m)^` + command + `( --for \d+s)?$`).MatchString(ci) {
			t.Errorf(".ci/run does not run %q", command)
		}
	}
}

// Every path that is served is in the README's table.
func TestREADMENamesEveryPath(t *testing.T) {
	readme, source := read(t, "../../README.md"), read(t, "web/web.go")
	for _, match := range regexp.MustCompile(`"GET (/[^"]*)"`).FindAllStringSubmatch(source, -1) {
		if !strings.Contains(readme, "`"+match[1]+"`") {
			t.Errorf("the README does not name %s", match[1])
		}
	}
}

// blocks are the README's blocks of code in a language.
func blocks(t *testing.T, language string) (all []string) {
	t.Helper()
	fence := regexp.MustCompile("(?ms)^```" + language + "\n(.*?)^```$")
	for _, match := range fence.FindAllStringSubmatch(read(t, "../../README.md"), -1) {
		all = append(all, match[1])
	}
	if len(all) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return all
}

// Every piece of configuration is valid, beside the blocks that it names and does not show.
func TestREADMEConfigurationIsValid(t *testing.T) {
	programs := t.TempDir()
	env := func(string) (string, bool) { return "postgres://127.0.0.1/app", true }
	for _, block := range blocks(t, "hcl") {
		for _, path := range regexp.MustCompile(`/usr/local/bin/\w+`).FindAllString(block, -1) {
			program := filepath.Join(programs, filepath.Base(path))
			if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o700); err != nil {
				t.Fatal(err)
			}
			block = strings.ReplaceAll(block, path, program)
		}
		if !strings.Contains(block, "postgres {") {
			block += "\npostgres {\n  url = env(\"DATABASE_URL\")\n}\n"
		}
		for _, topic := range regexp.MustCompile(`(?m)^  topic\s+= "(\w+)"`).FindAllStringSubmatch(block, -1) {
			if !strings.Contains(block, `topic "`+topic[1]+`"`) {
				block += fmt.Sprintf("\ntopic %q {}\n", topic[1])
			}
		}
		if _, err := config.Parse("README.md", []byte(block), env); err != nil {
			t.Errorf("%v\nin\n%s", err, block)
		}
	}
}

// Every piece of SQL runs, those in the middle of a sentence too, on what the README's other pieces speak of.
func TestREADMESQLRuns(t *testing.T) {
	conn := pgtest.Connect(t, pgtest.Database(t))
	run := func(sql string) {
		t.Helper()
		if _, err := conn.Exec(t.Context(), sql); err != nil {
			t.Errorf("%v, in\n%s", err, sql)
		}
	}
	role := "readme_" + strings.ToLower(pgtest.Value[string](t, conn, `select substr(md5(random()::text), 1, 12)`))
	run(`create role ` + role)
	t.Cleanup(func() {
		for _, sql := range []string{`drop owned by ` + role + ` cascade`, `drop role ` + role} {
			if _, err := conn.Exec(t.Context(), sql); err != nil && t.Context().Err() == nil {
				t.Error(err)
			}
		}
	})
	run(`select pgsolo.know('main', '{orders}'), pgsolo.know('search', '{orders,returns}')`)
	run(`insert into pgsolo.cursor (handler, "group")
		values ('letter', 'main'), ('receipt', 'main'), ('find', 'search')`)
	run(`insert into pgsolo.cron_job (job, schedule, last_at) values ('cleanup', '', now())`)
	run(`insert into pgsolo.cron_job (job, schedule, last_at) values ('report', '', now())`)
	run(`insert into pgsolo.leader (election) values ('main') on conflict do nothing`)
	readme := read(t, "../../README.md")
	var statements []string
	for _, block := range blocks(t, "sql") {
		for _, statement := range strings.Split(regexp.MustCompile(`--.*`).ReplaceAllString(block, ""), ";") {
			statements = append(statements, strings.TrimSpace(statement))
		}
	}
	statements = slices.DeleteFunc(statements, func(s string) bool { return s == "" })
	for _, span := range regexp.MustCompile("`((?:select|grant|set local) [^`]+)`").FindAllStringSubmatch(readme, -1) {
		statement := strings.Join(strings.Fields(span[1]), " ")
		switch {
		case strings.HasPrefix(statement, "grant ") && !strings.Contains(statement, " to "):
			statement += " to ops"
		case !strings.HasPrefix(statement, "grant ") && !strings.Contains(statement, "pgsolo."):
			continue // a part of a grant
		case strings.Contains(statement, "select on "):
			continue // likewise
		}
		statements = append(statements, statement)
	}
	for _, statement := range statements {
		statement = regexp.MustCompile(` to (app|ops)$`).ReplaceAllString(statement, " to "+role)
		if strings.HasPrefix(statement, "copy ") {
			rows := strings.NewReader("orders\torder-18\t{\"amount\": 1}\n")
			if _, err := conn.PgConn().CopyFrom(t.Context(), rows, statement); err != nil {
				t.Errorf("%v, in\n%s", err, statement)
			}
			continue
		}
		run(statement)
	}
	if len(statements) < 30 {
		t.Errorf("found %d statements: %q", len(statements), statements)
	}
}

// Every piece of Go compiles. The pieces are files of this module that are not on the disk.
func TestREADMEGoCompiles(t *testing.T) {
	const imports = `package piece

import (
	"context"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/jobs/emit"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
)

var (
	_ context.Context
	_ pgx.Tx
	_ emit.Event
	_ eventlog.Event
)

`
	here, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	args := []string{"build", "-overlay", filepath.Join(t.TempDir(), "overlay.json"), "-o", os.DevNull}
	for i, piece := range blocks(t, "go") {
		switch {
		case strings.HasPrefix(piece, "package "):
		case strings.HasPrefix(piece, "eventlog.Handler{"):
			piece = imports + "var _ = " + piece
		default:
			piece = imports + "func _(ctx context.Context, tx pgx.Tx, payload []byte) {\n" + piece +
				"_, _ = id, err\n}\n"
		}
		file := filepath.Join(t.TempDir(), "piece.go")
		if err := os.WriteFile(file, []byte(piece), 0o600); err != nil {
			t.Fatal(err)
		}
		folder := fmt.Sprintf("readme%d", i)
		overlay.Replace[filepath.Join(here, folder, "piece.go")] = file
		args = append(args, "./"+folder)
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(args[2], text, 0o600); err != nil {
		t.Fatal(err)
	}
	build := args[:len(args)-len(overlay.Replace)]
	for _, folder := range args[len(build):] {
		if out, err := exec.Command("go", append(slices.Clone(build), folder)...).CombinedOutput(); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	}
}

// Each line of SECURITY.md that names a test names one that there is.
func TestSecurityNamesTests(t *testing.T) {
	var sources strings.Builder
	for _, path := range files(t, "_test.go") {
		sources.WriteString(read(t, path))
	}
	names := regexp.MustCompile("`(Test\\w+)`").FindAllStringSubmatch(read(t, "../../SECURITY.md"), -1)
	if len(names) < 15 {
		t.Errorf("%d tests", len(names))
	}
	for _, name := range names {
		if !strings.Contains(sources.String(), "func "+name[1]+"(") {
			t.Errorf("there is no %s", name[1])
		}
	}
}
