//go:build unix

package web

import "golang.org/x/sys/unix"

// maxFiles is how many files this process may have open.
func maxFiles() uint64 {
	var limit unix.Rlimit
	if err := unix.Getrlimit(unix.RLIMIT_NOFILE, &limit); err != nil {
		return 1024
	}
	return uint64(limit.Cur)
}
