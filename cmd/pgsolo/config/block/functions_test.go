package block

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestHostPort(t *testing.T) {
	for arguments, want := range map[string]string{
		`"h", 80`: "h:80", `"::1", "80"`: "[::1]:80", `"[::1]", 80`: "[::1]:80", `"", 0`: ":0",
	} {
		to, _, err := decode("x.hcl", "log {\nlevel = \"info\"\nlisten = hostport("+arguments+")\n}")
		if err != nil || to.Listen != want {
			t.Errorf("%s: %q, %v", arguments, to.Listen, err)
		}
	}
	for arguments, want := range map[string]string{
		`"h", 99999`: "from 0 to 65535", `"h", -1`: "from 0 to 65535", `"h", 80.5`: "from 0 to 65535",
		`"h", "http"`: "from 0 to 65535", `"h", "+80"`: "from 0 to 65535", `"fe80::1%eth0", 80`: "%25eth0",
		`"h:80", 80`: "second argument", `"http://h", 80`: "second argument", `"u@h", 80`: "nothing else",
		`env("SECRET"), 99999`: "from 0 to 65535",
	} {
		wrong := refused(t, "log {\nlevel = \"info\"\nlisten = hostport("+arguments+")\n}")
		if wrong.Len() != 1 || !strings.Contains(wrong.Error(), want) {
			t.Errorf("%s: %v, want %q", arguments, wrong, want)
		}
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
