package privatepg

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockBound is how long a start waits for the end of an earlier server on the same folder, such as one whose owner was
// killed a moment ago.
const lockBound = 15 * time.Second

// dataFolder is a persistent folder: the cluster in data, and a lock file beside it.
type dataFolder struct {
	path     string
	data     string
	major    int    // version of the cluster in it; 0 where there is none yet
	password string // of the cluster in it; empty where there is none yet
	lock     *os.File
}

// openDataFolder makes the folder if need be, and locks it against other processes. The caller closes lock.
func openDataFolder(ctx context.Context, dir string, account account) (*dataFolder, error) {
	path, err := filepath.Abs(dir)
	if err != nil {
		return nil, fmt.Errorf("find data folder %s: %w", dir, err)
	}
	if err := makeDataFolder(path, account); err != nil {
		return nil, err
	}
	lock, err := os.OpenFile(filepath.Join(path, "lock"), os.O_RDWR|os.O_CREATE|syscall.O_NOFOLLOW, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of data folder: %w", err)
	}
	folder := &dataFolder{path: path, data: filepath.Join(path, "data"), lock: lock}
	lockCtx, cancel := context.WithTimeoutCause(ctx, lockBound, errors.New("another pgsolo uses it"))
	defer cancel()
	if err := lockFile(lockCtx, lock); err != nil {
		lock.Close()
		return nil, fmt.Errorf("lock data folder %s: %w", path, err)
	}
	if err := folder.inspect(); err != nil {
		lock.Close()
		return nil, err
	}
	return folder, nil
}

// makeDataFolder leaves a folder that belongs to the account and that no other user can enter.
func makeDataFolder(path string, account account) error {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("make data folder: %w", err)
	}
	if account.switched && !account.canEnter(filepath.Dir(path)) {
		return fmt.Errorf("use data folder %s: PostgreSQL runs as %s, which cannot enter it; name a folder outside "+
			"root's home", path, account)
	}
	switch err := os.Mkdir(path, 0o700); {
	case errors.Is(err, fs.ErrExist):
	case err != nil:
		return fmt.Errorf("make data folder: %w", err)
	case account.switched:
		if err := os.Chown(path, int(account.uid), int(account.gid)); err != nil {
			return fmt.Errorf("give data folder to %s: %w", account, err)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		return fmt.Errorf("read data folder: %w", err)
	}
	if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid != account.uid {
		return fmt.Errorf("use data folder %s: it belongs to uid %d, but PostgreSQL runs as %s; name another folder "+
			"or give it to that user", path, stat.Uid, account)
	}
	return nil
}

// inspect reads what an earlier server left.
func (f *dataFolder) inspect() error {
	version, err := os.ReadFile(filepath.Join(f.data, "PG_VERSION"))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read version of data folder: %w", err)
	}
	if f.major, err = strconv.Atoi(strings.TrimSpace(string(version))); err != nil {
		return fmt.Errorf("read version of data folder %s: %w", f.path, err)
	}
	if f.major < oldestMajor || f.major > newestMajor {
		return fmt.Errorf("use data folder %s: its data is of version %d, and pgsolo runs versions %d to %d; name "+
			"another folder", f.path, f.major, oldestMajor, newestMajor)
	}
	password, err := os.ReadFile(filepath.Join(f.data, "pgsolo.password"))
	if err != nil {
		return fmt.Errorf("read password of data folder: %w", err)
	}
	f.password = strings.TrimSpace(string(password))
	return nil
}

// lockFile takes the exclusive lock of an open file, and waits for it until ctx is done. The kernel frees the lock when
// the last copy of the descriptor is closed, so no crash leaves it behind.
func lockFile(ctx context.Context, file *os.File) error {
	retry := time.NewTicker(50 * time.Millisecond)
	defer retry.Stop()
	for {
		err := syscall.Flock(int(file.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) && !errors.Is(err, syscall.EINTR) {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-retry.C:
		}
	}
}

// randomName returns n random bytes as lower-case hexadecimal digits.
func randomName(n int) string {
	random := make([]byte, n)
	_, _ = rand.Read(random) // never returns an error
	return hex.EncodeToString(random)
}
