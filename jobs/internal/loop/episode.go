package loop

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// episodeGap is how long a message must have been absent for the next one to begin an episode.
const episodeGap = time.Minute

// Episode logs a message that may come with every event. The first one of an episode has its own level, the others
// debug level. An episode ends when the message has been absent for a minute. The zero value is ready for use, by any
// goroutine.
type Episode struct {
	mu   sync.Mutex // guards last
	last time.Time
}

// Log logs the message, at level if it begins an episode.
func (e *Episode) Log(logger hclog.Logger, level hclog.Level, message string, args ...any) {
	e.mu.Lock()
	now := time.Now()
	if now.Sub(e.last) < episodeGap {
		level = hclog.Debug
	}
	e.last = now
	e.mu.Unlock()
	logger.Log(level, message, args...)
}
