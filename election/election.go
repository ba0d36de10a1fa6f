package election

import (
	"context"
	"math/rand/v2"
	"time"

	"github.com/hashicorp/go-hclog"
)

// Term names one leadership. A later one has the greater number, unless a replica was promoted and issued it again: then the
// timeline is greater.
type Term struct {
	Timeline int32
	Number   int64

	// Stopping is closed when the leader should hand over: it begins nothing new, finishes what runs, and returns. Its context
	// is cancelled Options.Drain later.
	Stopping <-chan struct{}
}

// Elector takes part in one election.
type Elector struct {
	options Options
	logger  hclog.Logger
	status  statusBoard
	down    bool // the database was out of reach at the last try; only Run's goroutine uses it
}

// New checks the options. Its errors name the field.
func New(options Options) (*Elector, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	e := &Elector{options: options, logger: options.Logger}
	e.status.status = Status{Election: options.Name, Role: Outside}
	return e, nil
}

// Status may be called at any time.
func (e *Elector) Status() Status { return e.status.read() }

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second

	// slack is what a loop may be late by before it counts as hung.
	slack = 5 * time.Second
)

// Run takes part until ctx is done, and calls lead when this process leads. It returns
//
//   - what lead returned, once the leadership is given back: that is also how it ends when ctx is done while leading;
//   - nil when ctx is done while another leads;
//   - ErrLost, wrapped with the reason, after lead has returned because the leadership was lost: the process should end, so that
//     nothing of it works on, and be started again;
//   - an error that no retry mends: not let in, no such database, ErrSchema, a server or connection on which no lease holds.
//
// Everything else, a database that is down above all, is retried for as long as it takes.
func (e *Elector) Run(ctx context.Context, lead func(ctx context.Context, term Term) error) error {
	defer e.status.update(func(s *Status) { s.Role, s.AliveUntil = Outside, time.Time{} })
	backoff := minBackoff
	for {
		s, row, proved, err := e.win(ctx)
		if err == nil {
			return e.reign(ctx, s, row, proved, lead)
		}
		if ctx.Err() != nil {
			return nil
		}
		if hopeless(err) {
			return err
		}
		if !e.down {
			backoff = minBackoff
		}
		e.unreachable(err)
		e.status.busyFor(backoff + slack)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(backoff/2 + rand.N(backoff/2)):
		}
		backoff = min(2*backoff, maxBackoff)
	}
}

// win makes one try: it returns a session that holds the lock, the leader row of the term that it began, and the time from
// which the lease counts, or an error when the session could not be made or broke.
func (e *Elector) win(ctx context.Context) (*session, leaderRow, time.Time, error) {
	e.status.busyFor(2*connectTimeout + slack)
	s, err := open(ctx, e.options)
	if err != nil {
		return nil, leaderRow{}, time.Time{}, err
	}
	err = e.stand(ctx, s)
	if err == nil {
		proved := time.Now()
		var row leaderRow
		if row, err = s.promote(ctx, e.options); err == nil {
			return s, row, proved, nil
		}
	}
	s.close()
	return nil, leaderRow{}, time.Time{}, err
}

// unreachable notes that the database cannot be used, with one line in the log until that changes.
func (e *Elector) unreachable(err error) {
	e.status.update(func(s *Status) { s.Role = Outside })
	if !e.down {
		e.down = true
		e.logger.Warn("the database cannot be used, trying again", "error", err)
	}
}
