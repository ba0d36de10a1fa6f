package jobs

import (
	"context"
	"errors"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/jackc/pgx/v5/pgconn"
)

// The log is looked at soon after something has come, and then at growing intervals. With a bell, that is only for events which
// came without ringing: right after it was armed there may be some.
const (
	minPoll = 5 * time.Millisecond
	maxPoll = time.Second
)

// poll wakes the consumers that have something to read and were not told. One look serves them all, however many topics there
// are: it compares the highest id that the log has given out with what each of them has seen.
//
// That misses nothing: an id is given out, at once for everybody, before its row is there. So where a consumer has seen the
// highest one, no row above it exists as yet, and what follows is seen by a later look. What it lacks below are its holes, which
// are its own affair.
//
// Its loop, one goroutine, owns the state of the term. The rest may be used by anybody.
type poll struct {
	log       logReader // of no topic
	logger    hclog.Logger
	consumers []*consumer
	rings     *atomic.Int64
	bell      bool // there is one: what comes is no reason to look again soon

	given   atomic.Int64  // the highest id given out, as of the latest look
	restart chan struct{} // capacity 1: look soon, and then at growing intervals
	pulse   pulse
	refused bool // the role may not read the sequence, which was logged
	tail
}

// errLogGoneBack ends the leadership: ids that were seen will be given out once more, to events that nobody would read.
var errLogGoneBack = errors.New("the event log has lost commits, as after a failover to a replica that lagged: the cursors have to be read again")

// tail is the end of the log, as far as some consumer has not seen it: its transactions still run, or have rolled back.
type tail struct {
	read    int64 // rows that the consumers had read at the latest look
	last    int64 // the highest id given out, as of then
	horizon int64 // only transactions with lower numbers can have ids up to last; 0: not known
	settled int64 // nothing comes up to this id that a consumer will not find by itself
}

// begin sets the poll up for a leader's term.
func (p *poll) begin() { p.tail = tail{} }

// run looks until ctx is done, stop is closed, or the database does not answer any more.
func (p *poll) run(ctx context.Context, stop <-chan struct{}) error {
	defer p.pulse.end()
	interval := minPoll
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		p.pulse.beat()
		select {
		case <-ctx.Done():
			return nil
		case <-stop:
			return nil
		case <-p.restart:
			interval = minPoll
		case <-timer.C:
			came, err := p.look(ctx)
			if err != nil {
				return err
			}
			interval = p.after(interval, came)
		}
		timer.Reset(interval)
	}
}

// after is how long to wait for the next look.
func (p *poll) after(interval time.Duration, came bool) time.Duration {
	if came && !p.bell {
		return minPoll
	}
	return min(2*interval, maxPoll)
}

// ring makes every consumer read.
func (p *poll) ring() { p.ringAll(p.consumers) }

func (p *poll) ringAll(consumers []*consumer) {
	p.rings.Add(1) // before anybody is woken
	for _, c := range consumers {
		c.ring()
	}
}

// retryNow makes every consumer look for deliveries that are due.
func (p *poll) retryNow() {
	for _, c := range p.consumers {
		c.retryNow()
	}
}

// rowsRead is how many rows the consumers have read so far.
func (p *poll) rowsRead() (sum int64) {
	for _, c := range p.consumers {
		sum += c.counters.read.Load()
	}
	return sum
}

// look rings the consumers that have not seen the end of the log, and says whether anything has come since the latest look.
//
// Where nothing comes and the end is still not seen, its transactions are waited for as for those of a hole: one more read after
// they have ended shows whatever they have left, and then there is nothing to ring for until the log grows.
func (p *poll) look(ctx context.Context) (came bool, err error) {
	read := p.rowsRead()
	came = read != p.read
	p.read = read
	last, xmin, err := p.lookAtEnd(ctx)
	if err != nil || p.refused {
		return came, err
	}
	if last < p.last {
		return came, errLogGoneBack
	}
	p.given.Store(last)
	if last != p.last {
		came, p.last, p.horizon = true, last, 0
	}
	if last == p.settled {
		return came, nil
	}
	behind := slices.DeleteFunc(slices.Clone(p.consumers), func(c *consumer) bool { return c.latest.Load() >= last })
	if len(behind) == 0 {
		return came, nil
	}
	switch {
	case p.horizon > 0 && p.horizon <= xmin:
		p.settled = last
	case p.horizon == 0 && !came:
		err = p.persist(ctx, func(ctx context.Context) (err error) {
			p.horizon, err = p.log.number(ctx)
			return err
		})
	}
	p.ringAll(behind)
	return came, err
}

// The sequence is read as a table, because pg_sequence_last_value of a newer server hides from a role that may not read it that
// this is so. The snapshot is taken first, so that xmin speaks of what was there before.
const selectEnd = `select case when s.is_called then s.last_value else 0 end, pg_snapshot_xmin(pg_current_snapshot())::text::bigint
	from pgsolo.event_id_seq s`

// lookAtEnd returns the highest id given out, and the xmin of a snapshot from before. A role that may not know has every consumer
// read each time.
func (p *poll) lookAtEnd(ctx context.Context) (last, xmin int64, err error) {
	if p.refused {
		p.ring()
		return 0, 0, nil
	}
	err = p.persist(ctx, func(ctx context.Context) error {
		return p.log.pool.QueryRow(ctx, inSchema(selectEnd, p.log.schema)).Scan(&last, &xmin)
	})
	if isNotAllowed(err) {
		p.refused = true
		p.logger.Warn("the role may not read the sequence of the event log, so that an idle leader reads the log instead: grant select on it",
			"sequence", inSchema("pgsolo.event_id_seq", p.log.schema), "error", err)
		p.ring()
		return 0, 0, nil
	}
	return last, xmin, err
}

func (p *poll) persist(ctx context.Context, do func(context.Context) error) error {
	return persist(ctx, p.logger, "look at the end of the event log", p.pulse.during(do))
}

const insufficientPrivilege = "42501"

// isNotAllowed says whether the role lacks a privilege.
func isNotAllowed(err error) bool {
	pgErr, ok := errors.AsType[*pgconn.PgError](err)
	return ok && pgErr.Code == insufficientPrivilege
}
