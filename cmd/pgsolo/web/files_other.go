//go:build !unix

package web

// maxFiles is how many files this process may have open.
func maxFiles() uint64 { return 1024 }
