package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/txtar"
)

func TestLoadMissingFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "absent.hcl")
	_, err := Load(path, testEnv)
	wrong, ok := errors.AsType[*Error](err)
	if !ok || !errors.Is(err, fs.ErrNotExist) {
		t.Fatalf("error = %#v, want an *Error that is fs.ErrNotExist", err)
	}
	if text := err.Error(); !strings.Contains(text, path) || !strings.Contains(text, "reference configuration") {
		t.Errorf("error %q does not name the file and the remedy", text)
	}
	var out bytes.Buffer
	if err := wrong.Write(&out, 80, false); err != nil || !strings.Contains(out.String(), "No configuration") {
		t.Errorf("written: %q, %v", out.String(), err)
	}
}

func TestLoadFolder(t *testing.T) {
	folder := t.TempDir()
	if _, err := Load(folder, testEnv); err == nil || !strings.Contains(err.Error(), folder) {
		t.Errorf("error = %v, want one that names %s", err, folder)
	}
}

func TestErrorIsOneLine(t *testing.T) {
	_, err := Parse("x.hcl", []byte("postgres { url = env(\"DATABASE_URL\") }\nlog { level = \"loud\" }\nhttp { listen = 1 }\nlogg {}\n"), testEnv)
	const want = `x.hcl:2:15: Invalid level: "loud" is not one of the values. It may be "trace", "debug", "info", "warn", "error". (and 2 more mistakes)`
	if err == nil || err.Error() != want {
		t.Errorf("error = %v\nwant    %s", err, want)
	}
	if wrong, ok := errors.AsType[*Error](err); !ok || wrong.Len() != 3 {
		t.Errorf("error %v has not 3 mistakes", err)
	}
}

func TestWriteFitsWidth(t *testing.T) {
	src := "postgres { url = env(\"DATABASE_URL\") }\nlog {\n\tlevel = \"" + strings.Repeat("x", 200) + "\" # " + strings.Repeat("é", 200) + "\n}\n"
	_, err := Parse("x.hcl", []byte(src), testEnv)
	wrong, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatal(err)
	}
	wrong.diags[0].Detail = "words and words and words and words and words and words and words and words"
	for _, width := range []int{1, 40, 61, 80, 200} {
		var out bytes.Buffer
		if err := wrong.Write(&out, width, false); err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(out.String()) {
			if n := utf8.RuneCountInString(strings.TrimRight(line, "\n")); n > max(width, minWidth) {
				t.Errorf("width %d: line of %d: %q", width, n, line)
			}
		}
		if !strings.Contains(out.String(), "^^^") {
			t.Errorf("width %d: nothing is underlined:\n%s", width, &out)
		}
	}
}

func TestWriteColour(t *testing.T) {
	_, err := Parse("x.hcl", []byte("log { level = \"\x1b[31m\" }\n"), testEnv)
	wrong, ok := errors.AsType[*Error](err)
	if !ok {
		t.Fatal(err)
	}
	var plain, coloured bytes.Buffer
	if err := errors.Join(wrong.Write(&plain, 0, false), wrong.Write(&coloured, 0, true)); err != nil {
		t.Fatal(err)
	}
	if strings.Contains(plain.String(), "\x1b") {
		t.Errorf("escape sequences without being asked for:\n%q", &plain)
	}
	if !strings.Contains(coloured.String(), red) || !strings.Contains(coloured.String(), reset) {
		t.Errorf("no colour:\n%q", &coloured)
	}
}

func TestFileFunction(t *testing.T) {
	folder := t.TempDir()
	for name, content := range map[string]string{
		"url":    "postgres://localhost/app\n",
		"binary": "\xff\xfe",
		"large":  strings.Repeat("x", maxFileBytes+1),
	} {
		if err := os.WriteFile(filepath.Join(folder, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	parse := func(name string) (*Config, error) {
		return Parse(filepath.Join(folder, "config.hcl"), []byte(`postgres { url = file("`+name+`") }`), testEnv)
	}
	got, err := parse("url")
	if err != nil || got.Postgres.URL != "postgres://localhost/app" {
		t.Errorf("config %+v, %v: want the content of the file beside it without its newline", got, err)
	}
	for name, want := range map[string]string{"binary": "not UTF-8", "large": "more than", "absent": "no such file"} {
		if _, err := parse(name); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), name) {
			t.Errorf("file(%q): error %v, want %q and the path", name, err, want)
		}
	}
}

// FuzzParse requires that no input panics, and that what is refused can be shown without the secrets of the environment.
func FuzzParse(f *testing.F) {
	paths, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		f.Fatal(err)
	}
	for _, path := range paths {
		archive, err := txtar.ParseFile(path)
		if err != nil {
			f.Fatal(err)
		}
		for _, file := range archive.Files {
			if strings.HasSuffix(file.Name, ".hcl") {
				f.Add(file.Data)
			}
		}
	}
	src, err := os.ReadFile(reference)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(src)
	f.Fuzz(func(t *testing.T, src []byte) {
		config, err := Parse("config.hcl", src, testEnv)
		if err == nil {
			for _, handler := range config.Elections[0].Handlers {
				if handler.Name == "" || (handler.Handle == nil) == (handler.HandleTx == nil) || (handler.Topic == "") == (handler.Channel == "") {
					t.Errorf("accepted the handler %+v", handler)
				}
			}
			return
		}
		wrong, ok := errors.AsType[*Error](err)
		if !ok {
			t.Fatalf("error %v is not an *Error", err)
		}
		var out bytes.Buffer
		for _, width := range []int{0, 60} {
			if err := wrong.Write(&out, width, width > 0); err != nil {
				t.Fatal(err)
			}
		}
		if shown := out.String() + err.Error(); strings.Contains(shown, secretValue) && !bytes.Contains(src, []byte(secretValue)) {
			t.Errorf("a secret is shown:\n%s", shown)
		}
	})
}
