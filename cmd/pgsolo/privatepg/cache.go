package privatepg

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// openCache makes the folder of downloaded programs if need be. Root's is outside root's home, so that the user that
// runs PostgreSQL can enter it. Without a usable cache folder it is in the temporary folder.
func openCache(account account, dir string) (string, error) {
	if dir != "" {
		return makeCache(account, dir)
	}
	var problems []error
	for _, candidate := range defaultCaches(account) {
		cache, err := makeCache(account, candidate)
		if err == nil {
			return cache, nil
		}
		problems = append(problems, err)
	}
	return "", errors.Join(problems...)
}

func defaultCaches(account account) []string {
	temporary := filepath.Join(account.tempDir(false), "pgsolo-cache-"+strconv.Itoa(os.Geteuid()))
	if account.switched {
		return []string{"/var/cache/pgsolo", temporary}
	}
	if cache, err := os.UserCacheDir(); err == nil {
		return []string{filepath.Join(cache, "pgsolo"), temporary}
	}
	return []string{temporary}
}

// makeCache makes the folder if need be. A folder into which another user could have put programs is refused.
func makeCache(account account, dir string) (string, error) {
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return "", fmt.Errorf("make cache folder: %w", err)
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return "", fmt.Errorf("read cache folder: %w", err)
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(stat.Uid) != os.Geteuid() || info.Mode()&0o022 != 0 {
		return "", fmt.Errorf("use cache folder %s: it must be a folder that belongs to uid %d and that nobody else "+
			"can write to", dir, os.Geteuid())
	}
	if account.switched && !account.canEnter(dir) {
		return "", fmt.Errorf("use cache folder %s: %s, who runs PostgreSQL, cannot enter it", dir, account)
	}
	return dir, nil
}
