//go:build !linux

package command

// superviseAsInit is for containers, which run Linux.
func superviseAsInit() (code int, is bool) { return 0, false }
