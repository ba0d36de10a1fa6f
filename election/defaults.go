package election

import "time"

// The defaults of Options.
const (
	DefaultName         = "main"
	DefaultLease        = 5 * time.Second
	DefaultPollInterval = 900 * time.Millisecond
)
