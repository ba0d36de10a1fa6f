package privatepg

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	embeddedpostgres "github.com/fergusstrange/embedded-postgres"
)

// defaultMajor is what is downloaded where any version would do.
const defaultMajor = 17

// release returns the latest release of a major version that the library knows.
func release(major int) embeddedpostgres.PostgresVersion {
	switch major {
	case 14:
		return embeddedpostgres.V14
	case 15:
		return embeddedpostgres.V15
	case 16:
		return embeddedpostgres.V16
	case 17:
		return embeddedpostgres.V17
	}
	return embeddedpostgres.V18
}

// download returns a folder of the cache that holds bin, lib and share of a release. It fetches the release on first
// use. Processes that come at the same time wait for the one that downloads; a download that was cut off is never
// mistaken for a whole one, because the folder gets its name last.
func download(ctx context.Context, account account, major int, opts Options) (string, error) {
	if major == 0 {
		major = defaultMajor
	}
	version := release(major)
	cache, err := openCache(account, opts.CacheDir)
	if err != nil {
		return "", err
	}
	folder := filepath.Join(cache, "postgresql-"+string(version))
	lock, err := os.OpenFile(filepath.Join(cache, "lock"), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return "", fmt.Errorf("open lock of cache: %w", err)
	}
	defer lock.Close()
	if err := lockFile(ctx, lock); err != nil {
		return "", fmt.Errorf("lock cache %s: %w", cache, err)
	}
	if _, err := os.Stat(folder); err == nil {
		return folder, nil
	}

	incoming := filepath.Join(cache, "incoming") // only the holder of the lock touches it
	if err := os.RemoveAll(incoming); err != nil {
		return "", fmt.Errorf("remove unfinished download: %w", err)
	}
	defer os.RemoveAll(incoming)
	extracted := filepath.Join(incoming, "postgresql")
	if err := fetch(ctx, version, incoming, extracted, opts); err != nil {
		return "", fmt.Errorf("download PostgreSQL %s: %w", version, err)
	}
	if err := letAllUsersRead(extracted); err != nil {
		return "", fmt.Errorf("open downloaded programs to others: %w", err)
	}
	if err := os.Rename(extracted, folder); err != nil {
		return "", fmt.Errorf("move download into cache: %w", err)
	}
	return folder, nil
}

// fetch downloads a release, verifies its checksum and extracts it, with embedded-postgres. The library can do that
// only as the first part of starting a server of its own, which would outlive this process. So its start is made to
// fail right after the extraction: the runtime folder that it makes next is named below a file that has just been
// extracted, where no folder can be.
func fetch(
	ctx context.Context, version embeddedpostgres.PostgresVersion, incoming, extracted string, opts Options,
) error {
	repository, err := repositoryURL()
	if err != nil {
		return err
	}
	forwarder, err := startForwarder(ctx, repository, newProgressBar(opts.Progress, "PostgreSQL "+string(version)))
	if err != nil {
		return err
	}
	defer forwarder.stop()
	defer removeLibraryLogs(libraryLogs())

	impossible := filepath.Join(extracted, "bin", "postgres", "no-folder")
	config := embeddedpostgres.DefaultConfig().
		Version(version).
		Port(0). // the library first checks that its port is free; 0 always is
		CachePath(incoming).
		BinariesPath(extracted).
		RuntimePath(impossible).
		BinaryRepositoryURL(forwarder.url()).
		Logger(io.Discard)
	err = embeddedpostgres.NewDatabase(config).Start()
	if cause := forwarder.failure(); cause != nil {
		return cause
	}
	if err == nil {
		return errors.New("embedded-postgres started a server instead of only extracting one")
	}
	if strings.Contains(err.Error(), "unable to create runtime directory "+impossible) {
		return nil
	}
	return err
}

// repositoryURL returns PGSOLO_PG_REPOSITORY, or else the library's own default, which it keeps in a private field.
func repositoryURL() (string, error) {
	if mirror := os.Getenv("PGSOLO_PG_REPOSITORY"); mirror != "" {
		return strings.TrimRight(mirror, "/"), nil
	}
	field := reflect.ValueOf(embeddedpostgres.DefaultConfig()).FieldByName("binaryRepositoryURL")
	if !field.IsValid() || field.Kind() != reflect.String {
		return "", errors.New("embedded-postgres no longer tells its repository; set PGSOLO_PG_REPOSITORY to one")
	}
	return field.String(), nil
}

// letAllUsersRead undoes a strict umask: root downloads what another user runs.
func letAllUsersRead(root string) error {
	return filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.Type()&fs.ModeSymlink != 0 {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		mode := info.Mode().Perm() | 0o444
		if mode&0o100 != 0 {
			mode |= 0o111
		}
		return os.Chmod(path, mode)
	})
}

// libraryLogs lists the log files that embedded-postgres makes in the temporary folder and leaves there.
func libraryLogs() []string {
	// The only error is a malformed pattern.
	logs, _ := filepath.Glob(filepath.Join(os.TempDir(), "embedded_postgres_log*"))
	return logs
}

// removeLibraryLogs removes the empty log files that were not there before.
func removeLibraryLogs(before []string) {
	kept := make(map[string]bool)
	for _, log := range before {
		kept[log] = true
	}
	for _, log := range libraryLogs() {
		if info, err := os.Lstat(log); err == nil && info.Size() == 0 && !kept[log] {
			_ = os.Remove(log)
		}
	}
}
