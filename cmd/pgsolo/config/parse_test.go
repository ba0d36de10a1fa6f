package config

import (
	"bytes"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

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

// FuzzParse requires that no input panics, and that what is refused can be shown without the secrets of the
// environment.
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
	f.Add([]byte("handler \"a\" {\n  webhook {\n    secret = \"h\xb0\xb0\xb0\xb0"))
	f.Fuzz(func(t *testing.T, src []byte) {
		config, err := Parse("config.hcl", src, testEnv)
		if err == nil {
			for _, handler := range workOf(config, Resources{}).Handlers {
				if handler.Name == "" || (handler.Handle == nil) == (handler.HandleTx == nil) ||
					(handler.Topic == "") == (handler.Channel == "") {
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
		if shown := out.String() + err.Error(); strings.Contains(shown, secretValue) &&
			!bytes.Contains(src, []byte(secretValue)) {
			t.Errorf("a secret is shown:\n%s", shown)
		}
	})
}
