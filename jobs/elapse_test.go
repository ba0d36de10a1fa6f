package jobs

import "time"

// elapse lets the time of a synctest bubble go on. Nobody waits for it: the bubble's clock moves when all its goroutines wait.
func elapse(d time.Duration) { <-time.After(d) }
