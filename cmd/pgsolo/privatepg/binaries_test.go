package privatepg

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// fakePrograms makes a folder whose programs only tell a version.
func fakePrograms(t *testing.T, folder, version string) string {
	t.Helper()
	for _, name := range []string{"postgres", "initdb"} {
		writeScript(t, filepath.Join(folder, name), `echo "`+name+` (PostgreSQL) `+version+`"`)
	}
	return folder
}

func TestFindOrder(t *testing.T) {
	root := openFolder(t)
	inPath := fakePrograms(t, filepath.Join(root, "path"), "16.1")
	named := fakePrograms(t, filepath.Join(root, "named"), "14.2 (Debian 14.2-1)")
	tooOld := fakePrograms(t, filepath.Join(root, "old"), "9.6.24")
	for _, version := range []string{"9.6", "14", "18", "19"} {
		fakePrograms(t, filepath.Join(root, "debian", version, "bin"), version+".1")
	}
	fakePrograms(t, filepath.Join(root, "brew", "postgresql@17", "bin"), "17beta1")
	debian := filepath.Join(root, "debian", "*", "bin")
	brew := []string{filepath.Join(root, "brew", "postgresql@*", "bin")}

	// postgres alone is linked into a folder of PATH, as on a machine whose administrator wanted it at hand.
	links := filepath.Join(root, "links")
	if err := os.Mkdir(links, 0o755); err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"postgres", "initdb"} {
		if err := os.Symlink(filepath.Join(inPath, name), filepath.Join(links, name)); err != nil {
			t.Fatal(err)
		}
	}

	account := testAccount(t)
	tests := map[string]struct {
		finder finder
		want   programs
	}{
		"named before PATH":  {finder{env: named, path: inPath, debian: debian}, programs{named, 14}},
		"PATH before Debian": {finder{path: root + ":" + inPath, debian: debian}, programs{inPath, 16}},
		"link in PATH":       {finder{path: links, debian: debian}, programs{inPath, 16}},
		"newest fit of Debian": {
			finder{debian: debian, brew: brew}, programs{filepath.Join(root, "debian", "18", "bin"), 18},
		},
		"too old one in PATH": {
			finder{path: tooOld, debian: debian}, programs{filepath.Join(root, "debian", "18", "bin"), 18},
		},
		"relative PATH ignored": {
			finder{path: ".:bin", debian: debian}, programs{filepath.Join(root, "debian", "18", "bin"), 18},
		},
		"Homebrew": {finder{brew: brew}, programs{filepath.Join(root, "brew", "postgresql@17", "bin"), 17}},
		"one version wanted": {
			finder{major: 14, path: inPath, debian: debian}, programs{filepath.Join(root, "debian", "14", "bin"), 14},
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.finder.account = account
			got, err := test.finder.find(t.Context())
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(test.want, got, cmp.AllowUnexported(programs{})); diff != "" {
				t.Errorf("programs (-want +got):\n%s", diff)
			}
		})
	}
}

func TestFindErrors(t *testing.T) {
	root := openFolder(t)
	good := fakePrograms(t, filepath.Join(root, "good"), "15.4")
	tooOld := fakePrograms(t, filepath.Join(root, "old"), "13.21")
	tooNew := fakePrograms(t, filepath.Join(root, "new"), "19devel")
	broken := filepath.Join(root, "broken")
	writeScript(t, filepath.Join(broken, "postgres"), "exit 3")
	writeScript(t, filepath.Join(broken, "initdb"), "exit 3")
	strange := filepath.Join(root, "strange")
	writeScript(t, filepath.Join(strange, "postgres"), "echo hello")
	writeScript(t, filepath.Join(strange, "initdb"), "echo hello")
	half := filepath.Join(root, "half")
	writeScript(t, filepath.Join(half, "postgres"), "exit 0")
	split := filepath.Join(root, "split")
	if err := os.Mkdir(split, 0o755); err != nil {
		t.Fatal(err)
	}
	for name, folder := range map[string]string{"postgres": good, "initdb": tooOld} {
		if err := os.Symlink(filepath.Join(folder, name), filepath.Join(split, name)); err != nil {
			t.Fatal(err)
		}
	}

	tests := map[string]struct {
		finder finder
		want   []string // parts of the error
		none   bool     // errNoPrograms, after which a download is tried
	}{
		"named folder is missing": {
			finder{env: filepath.Join(root, "nothing"), path: good}, []string{"PGSOLO_PG_BIN", "no program postgres"},
			false,
		},
		"named folder is too old": {
			finder{env: tooOld, path: good}, []string{"PGSOLO_PG_BIN", "version 13.21, not 14 to 18"}, false,
		},
		"named folder lacks initdb": {finder{env: half, path: good}, []string{"no program initdb"}, false},
		"named folder is split": {
			finder{env: split, path: good}, []string{"postgres is a link into " + good}, false,
		},
		"named programs fail":     {finder{env: broken, path: good}, []string{"exit status 3"}, false},
		"named programs say else": {finder{env: strange, path: good}, []string{`"hello"`}, false},
		"only unfit ones":         {finder{path: tooOld + ":" + tooNew}, []string{"13.21", "19devel", tooNew}, true},
		"none":                    {finder{path: root}, nil, true},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			test.finder.account = testAccount(t)
			_, err := test.finder.find(t.Context())
			if err == nil || errors.Is(err, errNoPrograms) != test.none {
				t.Fatalf("got error %v, want no programs: %t", err, test.none)
			}
			for _, part := range test.want {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
		})
	}
}

func TestStartWithWrongNamedFolder(t *testing.T) {
	t.Setenv("PGSOLO_PG_BIN", t.TempDir())
	if _, err := Start(t.Context(), Options{}); err == nil || !strings.Contains(err.Error(), "PGSOLO_PG_BIN") {
		t.Errorf("got error %v, want the variable's name", err)
	}
}
