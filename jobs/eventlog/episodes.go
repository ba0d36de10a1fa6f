package eventlog

import (
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
)

// episodes are those of one handler.
type episodes struct {
	failed, dead, panicked, missed, begin loop.Episode
}
