package privatepg

import (
	"bytes"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// setupDownload returns a finder that finds nothing, the stand-in that it downloads from, and options with a new cache.
func setupDownload(t *testing.T) (finder, *standIn, Options) {
	t.Helper()
	server := newStandIn(t, realPrograms(t))
	t.Setenv("PGSOLO_PG_REPOSITORY", server.URL)
	t.Setenv("TMPDIR", t.TempDir())
	return finder{account: testAccount(t)}, server, Options{CacheDir: filepath.Join(openFolder(t), "cache")}
}

func TestDownloadOnce(t *testing.T) {
	finder, server, opts := setupDownload(t)
	var progress bytes.Buffer
	opts.Progress = &progress
	found, err := provide(t.Context(), finder, opts)
	if err != nil {
		t.Fatal(err)
	}
	shown := strings.Split(progress.String(), "\r")
	last := shown[len(shown)-1]
	if len(shown) < 10 || !strings.Contains(last, "100%") || !strings.Contains(last, "2.1 of 2.1 MB") {
		t.Errorf("%d steps of progress, the last of them %q", len(shown), last)
	}

	// The programs work.
	t.Run("server", func(t *testing.T) {
		t.Setenv("PGSOLO_PG_BIN", found.folder)
		started := testServer(t, Options{})
		if err := query(t.Context(), started.URL("postgres"), `select 1`); err != nil {
			t.Error(err)
		}
	})

	again, err := provide(t.Context(), finder, opts)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(found, again, cmp.AllowUnexported(programs{})); diff != "" {
		t.Errorf("programs at the second call (-first +second):\n%s", diff)
	}
	if n := server.jars.Load(); n != 1 {
		t.Errorf("downloaded %d times", n)
	}
	wantCache(t, opts.CacheDir, "lock", "postgresql-"+string(release(defaultMajor)))
	wantEmpty(t, os.TempDir())
}

func TestDownloadsAtTheSameTime(t *testing.T) {
	finder, server, opts := setupDownload(t)
	var downloads sync.WaitGroup
	for range 4 {
		downloads.Go(func() {
			if _, err := provide(t.Context(), finder, opts); err != nil {
				t.Error(err)
			}
		})
	}
	downloads.Wait()
	if n := server.jars.Load(); n != 1 {
		t.Errorf("downloaded %d times", n)
	}
}

func TestDownloadErrors(t *testing.T) {
	tests := map[string]struct {
		spoil func(*testing.T, *standIn)
		want  string // part of the error
	}{
		"no network": {func(t *testing.T, s *standIn) { s.Close() }, "connection refused"},
		"no such release": {
			func(t *testing.T, s *standIn) { t.Setenv("PGSOLO_PG_REPOSITORY", s.URL+"/elsewhere.sha256?") },
			"404 Not Found",
		},
		"not a URL": {
			func(t *testing.T, s *standIn) { t.Setenv("PGSOLO_PG_REPOSITORY", "secret") }, "PGSOLO_PG_REPOSITORY",
		},
		"cut off": {func(t *testing.T, s *standIn) { s.cut = 1000 }, "unexpected EOF"},
		"wrong checksum": {
			func(t *testing.T, s *standIn) { s.checksum = strings.Repeat("0", 64) }, "checksums do not match",
		},
		"without a checksum": {
			func(t *testing.T, s *standIn) { s.checksum = "" }, ".jar.sha256: the repository answers 404 Not Found",
		},
		"archive is damaged": {
			func(t *testing.T, s *standIn) { s.replace([]byte("no archive")) }, "not a valid zip file",
		},
		"archive holds no db": {
			func(t *testing.T, s *standIn) { s.replace(zipped(t, "x.txz", xzStored(tarred(t, nil)))) },
			"no such file or directory",
		},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			finder, server, opts := setupDownload(t)
			test.spoil(t, server)
			_, err := provide(t.Context(), finder, opts)
			if err == nil {
				t.Fatal("no error")
			}
			for _, part := range []string{
				test.want, "apt-get install postgresql", "brew install postgresql@17", "PGSOLO_PG_BIN",
			} {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("error %q does not say %q", err, part)
				}
			}
			wantCache(t, opts.CacheDir, "lock")
			wantEmpty(t, os.TempDir())
		})
	}
}

func TestDefaultRepositoryIsTheLibrarys(t *testing.T) {
	t.Setenv("PGSOLO_PG_REPOSITORY", "")
	repository, err := repositoryURL()
	if err != nil {
		t.Fatal(err)
	}
	if parsed, err := url.Parse(repository); err != nil || parsed.Scheme != "https" || parsed.Host == "" {
		t.Errorf("the library's repository is %q", repository)
	}
}

func TestCacheThatOthersCanWriteToIsRefused(t *testing.T) {
	finder, _, opts := setupDownload(t)
	if err := os.Mkdir(opts.CacheDir, 0o777); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(opts.CacheDir, 0o777); err != nil {
		t.Fatal(err)
	}
	_, err := provide(t.Context(), finder, opts)
	if err == nil || !strings.Contains(err.Error(), "nobody else can write") {
		t.Errorf("got error %v", err)
	}
}

// wantCache compares the names in a cache.
func wantCache(t *testing.T, cache string, want ...string) {
	t.Helper()
	entries, err := os.ReadDir(cache)
	if os.IsNotExist(err) {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, entry := range entries {
		got = append(got, entry.Name())
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("cache (-want +got):\n%s", diff)
	}
}
