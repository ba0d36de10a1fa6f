package config

import (
	"bytes"
	"errors"
	"flag"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/rogpeppe/go-internal/txtar"
)

var update = flag.Bool("update", false, "rewrite the expected diagnostics in testdata")

const secretValue = "hunter2-of-the-environment"

// testEnv is the environment of every test.
func testEnv(name string) (string, bool) {
	value, ok := map[string]string{
		"DATABASE_URL": "postgres://app:hunter2@localhost:5432/app",
		"SECRET":       secretValue,
	}[name]
	return value, ok
}

// TestDiagnostics compares what is written for each NAME.hcl of an archive with NAME.want. A file without a postgres
// block gets one at its end, unless its name begins with bare_.
func TestDiagnostics(t *testing.T) {
	archives, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(archives) == 0 {
		t.Fatalf("find archives: %d, %v", len(archives), err)
	}
	for _, path := range archives {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txtar"), func(t *testing.T) { testArchive(t, path) })
	}
}

func testArchive(t *testing.T, path string) {
	archive, err := txtar.ParseFile(path)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]string{}
	for _, file := range archive.Files {
		want[file.Name] = string(file.Data)
	}
	result := &txtar.Archive{Comment: archive.Comment}
	for _, file := range archive.Files {
		name, ok := strings.CutSuffix(file.Name, ".hcl")
		if !ok {
			continue
		}
		got := diagnose(t, name, file.Data)
		result.Files = append(result.Files, file, txtar.File{Name: name + ".want", Data: []byte(got)})
		t.Run(name, func(t *testing.T) {
			if diff := cmp.Diff(want[name+".want"], got); diff != "" && !*update {
				t.Errorf("diagnostics (-want +got):\n%s\ngot:\n%s", diff, got)
			}
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret is shown:\n%s", got)
			}
		})
	}
	if *update {
		if err := os.WriteFile(path, txtar.Format(result), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func diagnose(t *testing.T, name string, src []byte) string {
	t.Helper()
	if !strings.HasPrefix(name, "bare_") && !regexp.MustCompile(`(?m)^postgres `).Match(src) {
		src = append(bytes.Clone(src), `postgres { url = env("DATABASE_URL") }`...)
	}
	_, err := Parse("config.hcl", src, testEnv)
	wrong, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatalf("%s: error %v is not an *Error", name, err)
	}
	if strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%s: a secret is shown: %v", name, err)
	}
	var out bytes.Buffer
	if err := wrong.Write(&out, 0, false); err != nil {
		t.Fatal(err)
	}
	return out.String()
}
