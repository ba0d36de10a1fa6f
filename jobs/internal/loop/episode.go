package loop

import (
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
)

// episodeGap is how long something must not have happened for its next time to be news.
const episodeGap = time.Minute

// Episode logs something that may happen with every event: its first time as what it is, and the others, until it has not
// happened for a while, at debug level.
type Episode struct {
	mu   sync.Mutex // guards last
	last time.Time
}

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
