package block

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

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
	parse := func(name string) (*settings, error) {
		to, _, err := decode(filepath.Join(folder, "config.hcl"),
			"log {\nlevel = \"info\"\nlisten = file(\""+name+"\")\n}")
		return to, err
	}
	got, err := parse("url")
	if err != nil || got.Listen != "postgres://localhost/app" {
		t.Errorf("settings %+v, %v: want the content of the file beside it without its newline", got, err)
	}
	for name, want := range map[string]string{"binary": "not UTF-8", "large": "more than", "absent": "no such file"} {
		if _, err := parse(name); err == nil || !strings.Contains(err.Error(), want) ||
			!strings.Contains(err.Error(), name) {
			t.Errorf("file(%q): error %v, want %q and the path", name, err, want)
		}
	}
}
