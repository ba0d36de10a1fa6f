package admin

import (
	"fmt"
	"strings"
	"time"

	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/text"
)

// DeadLetterFilter selects the dead letters that meet every condition given. The zero value of a field is no condition.
type DeadLetterFilter struct {
	Handler       string
	EventID       int64 // negative for an event of a log that began again since
	FailedBefore  time.Time
	ErrorContains string // as it stands: % and _ mean themselves

	// All is for Replay and Discard, which refuse a filter without conditions unless All is set, and one with both.
	All bool
}

func (f DeadLetterFilter) check() error {
	for _, field := range []struct{ name, text string }{{"handler", f.Handler}, {"error text", f.ErrorContains}} {
		if err := text.Check(field.text); err != nil {
			return fmt.Errorf("%s: %w", field.name, err)
		}
	}
	return nil
}

func (f DeadLetterFilter) empty() bool {
	return f.Handler == "" && f.EventID == 0 && f.FailedBefore.IsZero() && f.ErrorContains == ""
}

// conditions are the first four arguments of each statement on dead letters.
func (f DeadLetterFilter) conditions() []any {
	var (
		event *int64
		like  *string
	)
	if f.EventID != 0 {
		event = &f.EventID
	}
	if f.ErrorContains != "" {
		pattern := "%" + likeEscapes.Replace(f.ErrorContains) + "%"
		like = &pattern
	}
	return []any{pg.TextOrNull(f.Handler), event, pg.TimeOrNull(f.FailedBefore), like}
}

// likeEscapes takes their meaning from the characters that LIKE treats as patterns.
var likeEscapes = strings.NewReplacer(`\`, `\\`, `%`, `\%`, `_`, `\_`)
