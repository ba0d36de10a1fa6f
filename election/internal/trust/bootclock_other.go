//go:build !linux

package trust

import "time"

// sinceBoot knows of no such clock here: the wall clock alone tells that the machine was suspended.
func sinceBoot() (_ time.Duration, known bool) { return 0, false }
