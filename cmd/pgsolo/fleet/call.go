package fleet

import (
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// Call is a request of a replica's webhook, for an event or for a tick.
type Call struct {
	At   time.Time // of its arrival
	Term int64
	Name string // of the handler or the cron job
	Key  string // Idempotency-Key

	Event int64 // the event's id; 0 for a tick

	ScheduledAt time.Time // of a tick, in UTC
	Attempt     int
	CatchUp     bool // the tick is made up for
}

// Attempt is one start of a tick.
type Attempt struct {
	Job    string
	At     time.Time // its scheduled time, in UTC
	Number int       // from 1 on
}

// readCall reads the headers of a request that has just arrived.
func readCall(r *http.Request) (c Call, err error) {
	c = Call{
		At: time.Now(), Name: r.Header.Get("Pgsolo-Name"), Key: r.Header.Get("Idempotency-Key"),
		CatchUp: r.Header.Get("Pgsolo-Catch-Up") == "true",
	}
	if c.Term, err = strconv.ParseInt(r.Header.Get("Pgsolo-Term"), 10, 64); err != nil {
		return c, fmt.Errorf("term: %w", err)
	}
	if c.Attempt, err = strconv.Atoi(r.Header.Get("Pgsolo-Attempt")); err != nil {
		return c, fmt.Errorf("attempt: %w", err)
	}
	if text := r.Header.Get("Pgsolo-Event-Id"); text != "" {
		if c.Event, err = strconv.ParseInt(text, 10, 64); err != nil {
			return c, fmt.Errorf("event: %w", err)
		}
		return c, nil
	}
	if c.ScheduledAt, err = time.Parse(time.RFC3339Nano, r.Header.Get("Pgsolo-Scheduled-At")); err != nil {
		return c, fmt.Errorf("scheduled time: %w", err)
	}
	c.ScheduledAt = c.ScheduledAt.UTC()
	return c, nil
}

// attempt is the start that a call for a tick is.
func (c Call) attempt() Attempt { return Attempt{c.Name, c.ScheduledAt, c.Attempt} }
