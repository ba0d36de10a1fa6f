package main

import (
	"encoding/json"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// The imports are a star: election, listener and jobs know neither one another nor the program, and the program's
// packages know them. Only the configuration knows HCL.
func TestImportsAreAStar(t *testing.T) {
	const module = "github.com/pgsolo/pgsolo/"
	knowHCL := []string{module + "cmd/pgsolo/config", module + "cmd/pgsolo/config/block"}
	out, err := exec.Command("go", "list", "-json=ImportPath,Imports", "../../...").Output()
	if err != nil {
		t.Fatal(err)
	}
	room := func(path string) string {
		name, _, _ := strings.Cut(strings.TrimPrefix(path, module), "/")
		return name
	}
	rooms := map[string]bool{}
	for decoder := json.NewDecoder(strings.NewReader(string(out))); decoder.More(); {
		var p struct {
			ImportPath string
			Imports    []string
		}
		if err := decoder.Decode(&p); err != nil {
			t.Fatal(err)
		}
		from := room(p.ImportPath)
		rooms[from] = true
		for _, imported := range p.Imports {
			if strings.HasPrefix(imported, module) && from != "cmd" && room(imported) != from {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
			if strings.HasPrefix(imported, "github.com/hashicorp/hcl/") && !slices.Contains(knowHCL, p.ImportPath) {
				t.Errorf("%s imports %s", p.ImportPath, imported)
			}
		}
	}
	if len(rooms) != 4 {
		t.Errorf("looked at %v, want cmd, election, jobs and listener", rooms)
	}
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
		// CI may add flags at the end; the step's headline is not the command.
		if !regexp.MustCompile(`(?m)^` + regexp.QuoteMeta(command) + `( --for \d+s)?$`).MatchString(ci) {
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

// Two packages that must not know each other keep their migrations in the same way. What differs is what they are
// about.
func TestMigrationsAreKeptAlike(t *testing.T) {
	same := strings.Replace(read(t, "../../jobs/migrate.go"), "package jobs", "package election", 1)
	if same != read(t, "../../election/migrate.go") {
		t.Error("jobs/migrate.go and election/migrate.go differ")
	}
}

// What recognizes a pooler that shares sessions stands twice, too.
func TestPoolerCheckIsKeptAlike(t *testing.T) {
	same := strings.Replace(read(t, "../../listener/sharing.go"), "package listener", "package election", 1)
	if same != read(t, "../../election/sharing.go") {
		t.Error("listener/sharing.go and election/sharing.go differ")
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
