package privatepg

import (
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the user that PostgreSQL runs as. PostgreSQL refuses root, so root hands it to another user.
type account struct {
	name     string
	uid, gid uint32
	switched bool // true when this process runs as root and the account is another one
}

// chooseAccount returns this process's own user, or, for root, the user postgres if there is one, or else nobody.
func chooseAccount() (account, error) {
	if uid := os.Geteuid(); uid != 0 {
		return account{name: fmt.Sprintf("uid %d", uid), uid: uint32(uid), gid: uint32(os.Getegid())}, nil
	}
	for _, name := range []string{"postgres", "nobody"} {
		found, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(found.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(found.Gid, 10, 32)
		if uidErr == nil && gidErr == nil && uid != 0 {
			return account{name: "user " + name, uid: uint32(uid), gid: uint32(gid), switched: true}, nil
		}
	}
	return account{}, errors.New("choose a user to run PostgreSQL as: it refuses root, and there is neither " +
		"a user postgres nor a user nobody; add one, or run pgsolo as an ordinary user")
}

func (a account) String() string { return a.name }

// attributes start a process as the account, without root's supplementary groups.
func (a account) attributes() *syscall.SysProcAttr {
	if !a.switched {
		return &syscall.SysProcAttr{}
	}
	return &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: a.uid, Gid: a.gid, Groups: []uint32{}}}
}

// environment is the whole environment of PostgreSQL. Variables of this process, such as PGDATA and PGPORT, must not
// reach it.
func (a account) environment() []string {
	env := []string{"PATH=/usr/local/bin:/usr/bin:/bin", "LC_ALL=C"}
	for _, name := range []string{"LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH"} {
		if value, ok := os.LookupEnv(name); ok {
			env = append(env, name+"="+value)
		}
	}
	return env
}

// tempDir returns a folder in which the account can make one of its own. Root's own TMPDIR may be closed to it.
func (a account) tempDir(inMemory bool) string {
	if inMemory && freeBytes(sharedMemory) >= memoryNeeded && a.canEnter(sharedMemory) {
		return sharedMemory
	}
	if !a.switched || a.canEnter(os.TempDir()) {
		return os.TempDir()
	}
	return "/tmp"
}

// sharedMemory is where Linux keeps POSIX shared memory. Every user may make files there. A container often has 64 MB
// of it, which is too little for the data of a server.
const (
	sharedMemory = "/dev/shm"
	memoryNeeded = 2 << 30
)

// freeBytes returns the space left to an ordinary user, and 0 for a folder that does not exist.
func freeBytes(folder string) uint64 {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(folder, &stat); err != nil {
		return 0
	}
	return uint64(stat.Bavail) * uint64(stat.Bsize)
}

// canEnter tells whether the account may pass through a folder and all those above it, by their owner and mode alone.
func (a account) canEnter(folder string) bool {
	for {
		info, err := os.Stat(folder)
		if err != nil {
			return false
		}
		needed := os.FileMode(0o001)
		if stat, ok := info.Sys().(*syscall.Stat_t); ok && stat.Uid == a.uid {
			needed = 0o100
		} else if ok && stat.Gid == a.gid {
			needed = 0o010
		}
		if info.Mode()&needed == 0 {
			return false
		}
		parent := filepath.Dir(folder)
		if parent == folder {
			return true
		}
		folder = parent
	}
}
