package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgxpool"
)

const (
	// The longest wait between two looks at the clock. A step of the clock is noticed within it.
	clockCheck = 10 * time.Second

	// How long the last outcome may take to be written once the leader has to stop at once.
	lastOutcome = time.Second
)

// cronJob runs one Cron. Its schedule is followed on this process's clock. What keeps a tick from starting twice is its row in
// the database, whatever the clocks say.
type cronJob struct {
	Cron
	schedule Schedule
	store    cronStore
	logger   hclog.Logger

	// The clock; tests replace it. Without its monotonic reading, so that differences follow the clock when it is set.
	now   func() time.Time
	after func(time.Duration) <-chan time.Time

	pulse pulse

	mu     sync.Mutex // guards counts
	counts CronStats
}

// newCronJob checks the Cron. Its errors name the job and the field.
func newCronJob(c Cron, pool *pgxpool.Pool, schema string, logger hclog.Logger) (*cronJob, error) {
	wrong := func(format string, args ...any) (*cronJob, error) {
		return nil, fmt.Errorf("cron %q: "+format, append([]any{c.Name}, args...)...)
	}
	if c.Location == nil {
		c.Location = time.UTC
	}
	if c.Timeout == 0 {
		c.Timeout = time.Hour
	}
	if c.StartingDeadline == 0 {
		c.StartingDeadline = time.Hour
	}
	if c.Missed == "" {
		c.Missed = MissedOnce
	}
	switch {
	case c.Name == "":
		return wrong("Name is required")
	case c.Run == nil:
		return wrong("Run is required")
	case c.Timeout < 0:
		return wrong("Timeout %s is negative", c.Timeout)
	case c.StartingDeadline < 0:
		return wrong("StartingDeadline %s is negative", c.StartingDeadline)
	case c.Missed != MissedSkip && c.Missed != MissedOnce && c.Missed != MissedAll:
		return wrong("Missed %q: want skip, once or all", c.Missed)
	}
	schedule, err := ParseSchedule(c.Schedule, c.Location)
	if err != nil {
		return wrong("Schedule %q: %w", c.Schedule, err)
	}
	return &cronJob{
		Cron: c, schedule: schedule, logger: logger,
		store:  cronStore{pool: pool, schema: schema, job: c.Name},
		now:    func() time.Time { return time.Now().Round(0) },
		after:  time.After,
		counts: CronStats{Name: c.Name},
	}, nil
}

// run starts the job's ticks for the leader of this term. It ends
//
//   - when Stopping is closed: no tick is begun any more, the one that runs may finish, and its outcome is written;
//   - when ctx is done, before or after that: the tick that runs is cancelled, and waited for;
//   - with ErrFenced when a newer leader has claimed the job, or with an error when the database has failed for persistFor.
//
// It returns nil in the first two cases. Nothing that it started runs any more then.
func (j *cronJob) run(ctx context.Context, of Lead) error {
	defer j.pulse.end()
	last, err := j.claim(ctx, of.Term)
	if err == nil {
		runCtx, cancel := context.WithCancelCause(ctx)
		defer cancel(nil)
		lead := &cronTerm{cronJob: j, term: of.Term, held: of.Held, last: last}
		err = lead.loop(runCtx, of.Stopping)
		cancel(err)
		if lead.running != nil {
			<-lead.done
			err = errors.Join(err, lead.finish(runCtx))
		}
	}
	if err == nil || ctx.Err() != nil && !errors.Is(err, ErrFenced) {
		return nil
	}
	return fmt.Errorf("cron %q: %w", j.Name, err)
}

// claim makes this term the only one that may write the job, ends what earlier terms left running, and returns the latest tick
// decided on.
func (j *cronJob) claim(ctx context.Context, term int64) (time.Time, error) {
	var (
		claimed claimedJob
		ended   int64
	)
	err := j.persist(ctx, "claim job", func(ctx context.Context) (err error) {
		claimed, err = j.store.claim(ctx, j.schedule.String(), term)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	err = j.persist(ctx, "end runs of earlier leaders", func(ctx context.Context) (err error) {
		ended, err = j.store.interrupt(ctx, term)
		return err
	})
	if err != nil {
		return time.Time{}, err
	}
	if ended > 0 {
		j.logger.Warn("the previous leader left a run unfinished", "runs", ended)
		j.count(func(s *CronStats) { s.Interrupted += ended })
	}
	if claimed.fresh { // a new job or a new schedule makes up for nothing, and if the server's clock is behind, neither
		return j.schedule.align(claimed.lastAt, j.now()), nil
	}
	return claimed.lastAt, nil
}

// cronTerm is a cron job during one term. It belongs to the goroutine that calls run; beside it there is at most one more, which
// runs a tick.
type cronTerm struct {
	*cronJob
	term int64
	held func() bool // asked before each start; nil: always true

	last    time.Time // the latest tick decided on
	waiting []dueTick // to be started one after the other
	failing bool      // the latest run failed

	running *dueTick      // nil: none
	done    chan struct{} // closed by the goroutine of the running tick when it ends; nil: none
	failure error         // the running tick's; to be read once done is closed
}

// loop returns nil when it has to stop. After ctx, a tick may then still be running.
func (t *cronTerm) loop(ctx context.Context, stop <-chan struct{}) error {
	for {
		if isClosed(stop) {
			t.pulse.end() // from here on the drain is what bounds it
		} else {
			t.pulse.beat()
		}
		// What has ended comes before what is due, or else a process that was frozen would see an overlap that was none.
		if isClosed(t.done) {
			if err := t.finish(ctx); err != nil {
				return err
			}
		}
		if ctx.Err() != nil || isClosed(stop) && t.running == nil {
			return nil
		}
		var timer <-chan time.Time
		wake := stop
		if isClosed(stop) {
			wake = nil // it has been heard
		} else {
			if err := t.startDue(ctx); err != nil {
				return err
			}
			timer = t.after(t.untilNext())
		}
		select {
		case <-ctx.Done():
		case <-wake:
		case <-t.done:
		case <-timer:
		}
	}
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// startDue decides on every tick that has come due since the last look: it is started, waits for its turn, is recorded as
// skipped, or is given up as missed.
func (t *cronTerm) startDue(ctx context.Context) error {
	now := t.now()
	if t.last.After(now) { // The clock was set back. What has a row already does not start again.
		t.last = t.schedule.align(t.last, now)
	}
	due, latest := t.due(t.last, now)
	if !latest.IsZero() {
		t.last = latest
	}
	if t.running == nil || len(t.waiting) > 0 || t.running.catchUp && t.Missed == MissedAll {
		t.waiting = append(t.waiting, due...)
	} else {
		for _, tick := range due {
			if err := t.skip(ctx, tick); err != nil {
				return err
			}
		}
	}
	for t.running == nil && len(t.waiting) > 0 {
		tick := t.waiting[0]
		t.waiting = t.waiting[1:]
		if err := t.start(ctx, tick); err != nil {
			return err
		}
	}
	return nil
}

// untilNext returns how long to wait before the next look at the schedule.
func (t *cronTerm) untilNext() time.Duration {
	next := t.schedule.Next(t.last)
	t.count(func(s *CronStats) { s.Next = next })
	return max(0, min(next.Sub(t.now()), clockCheck))
}
