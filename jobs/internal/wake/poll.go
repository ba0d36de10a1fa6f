package wake

import (
	"context"
	"math"
	"slices"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"

	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
)

// The end of the log is read soon after something has come, and then at growing intervals. With a bell, that is only
// for events which came without ringing: right after it was armed there may be some.
const (
	minPoll = 5 * time.Millisecond
	MaxPoll = time.Second // while nothing comes
)

const lookAtEnd = "look at the end of the event log"

// Poll wakes the consumers that have something to read and were not rung. One read serves them all, however many topics
// there are: it compares the highest id that the log has given out with what each of them has seen.
//
// That misses nothing: an id is given out, at once for all sessions, before its row is there. So where a consumer has
// seen the highest one, no row above it exists as yet, and what follows is seen by a later poll. What it lacks below
// are its holes, which it re-reads itself.
//
// Its loop, one goroutine, owns the state of the term. The rest may be used by any goroutine.
type Poll struct {
	PollOptions

	given   atomic.Int64  // the highest id given out, as of the latest poll
	mode    atomic.Value  // a Mode
	restart chan struct{} // capacity 1: poll soon, and then at growing intervals
	pulse   loop.Pulse
	refused bool // the role may not read the sequence, which was logged
	tail
}

// PollOptions say which consumers a Poll wakes, and how it reads.
type PollOptions struct {
	DB        pg.DB
	Logger    hclog.Logger
	Consumers []Consumer
	Rings     *atomic.Int64 // counted before consumers are woken
	Emitters  *logread.Emitters
	Bell      bool // there is one: what comes is no reason to poll again soon
}

// NewPoll makes a poll for any number of leaderships, one at a time.
func NewPoll(options PollOptions) *Poll {
	return &Poll{PollOptions: options, restart: make(chan struct{}, 1)}
}

// Given is the highest id that the log has given out, as of the latest poll.
func (p *Poll) Given() int64 { return p.given.Load() }

// Mode says how the leader learns of new events.
func (p *Poll) Mode() Mode {
	mode, _ := p.mode.Load().(Mode)
	return mode
}

// SetMode sets what Mode returns.
func (p *Poll) SetMode(mode Mode) { p.mode.Store(mode) }

// Healthy returns an error when Run has not moved for 20 s.
func (p *Poll) Healthy() error { return p.pulse.Check("the poll of the event log") }

// tail is the end of the log, as far as some consumer has not seen it: its transactions still run, or have rolled back.
type tail struct {
	sound
	read    int64 // rows that the consumers had read at the latest poll
	last    int64 // the highest id given out, as of then
	horizon int64 // only transactions with lower numbers can have ids up to last; 0: not known
	settled int64 // nothing comes up to this id that a consumer will not find by itself
}

// Begin sets the poll up for a leader's term.
func (p *Poll) Begin() { p.tail = tail{} }

// Run polls until the leadership ends, or the database does not answer any more.
func (p *Poll) Run(ctx context.Context, lead *loop.Leadership) error {
	defer p.pulse.End()
	interval := minPoll
	timer := time.NewTimer(interval)
	defer timer.Stop()
	for {
		p.pulse.Mark()
		select {
		case <-lead.Starting.Done():
			return nil
		case <-p.restart:
			interval = minPoll
		case <-timer.C:
			came, err := p.poll(ctx)
			if err != nil {
				return err
			}
			interval = p.after(interval, came)
		}
		timer.Reset(interval)
	}
}

// after is how long to wait for the next poll.
func (p *Poll) after(interval time.Duration, came bool) time.Duration {
	if came && !p.Bell {
		return minPoll
	}
	return min(2*interval, MaxPoll)
}

// ring makes every consumer read.
func (p *Poll) ring() { p.ringAll(p.Consumers) }

func (p *Poll) ringAll(consumers []Consumer) {
	p.Rings.Add(1) // before a consumer is woken
	for _, c := range consumers {
		c.Ring()
	}
}

// retryNow makes every consumer query the deliveries that are due.
func (p *Poll) retryNow() {
	for _, c := range p.Consumers {
		c.RetryNow()
	}
}

// rowsRead is how many rows the consumers have read so far.
func (p *Poll) rowsRead() (sum int64) {
	for _, c := range p.Consumers {
		sum += c.RowsRead()
	}
	return sum
}

// poll rings the consumers that have not seen the end of the log, and says whether anything has come since the latest
// poll.
//
// Where nothing comes and the end is still not seen, its transactions are waited for as for those of a hole: one more
// read after they have ended shows whatever they have left, and then there is nothing to ring for until the log grows.
func (p *Poll) poll(ctx context.Context) (came bool, err error) {
	read := p.rowsRead()
	came = read != p.read
	p.read = read
	seen := int64(0) // the highest id of a row that was there before the end is read
	for _, c := range p.Consumers {
		if to := c.SeenTo(); to < math.MaxInt64 { // which is that of a handler that is held back
			seen = max(seen, to)
		}
	}
	end, err := p.readEnd(ctx)
	if err != nil || p.refused {
		return came, err
	}
	if err := p.checkSound(ctx, &end, seen); err != nil {
		return came, err
	}
	last, xmin := end.last, end.xmin
	p.given.Store(last)
	if last != p.last {
		came, p.last, p.horizon = true, last, 0
	}
	if last == p.settled {
		return came, nil
	}
	lagging := slices.DeleteFunc(slices.Clone(p.Consumers), func(c Consumer) bool { return c.SeenTo() >= last })
	if len(lagging) == 0 {
		return came, nil
	}
	switch {
	case p.horizon > 0 && p.horizon <= max(xmin, p.Emitters.Floor()):
		p.settled = last
	case p.horizon > 0:
		p.Emitters.Open(ctx, 1, p.horizon, p.horizon)
	case p.horizon == 0 && !came:
		p.horizon, err = p.transactionNumber(ctx)
	}
	p.ringAll(lagging)
	return came, err
}

// The sequence is read as a table, because pg_sequence_last_value of a newer server hides from a role that may not read
// it that this is so. It stands behind the log, and the log is no subquery: then they are locked in the order in which
// TRUNCATE … RESTART IDENTITY locks them. The snapshot is taken first, so that xmin is about what was there before.
const selectEnd = `select case when s.is_called then s.last_value else s.last_value - 1 end,
		pg_snapshot_xmin(pg_current_snapshot())::text::bigint, pg_snapshot_xmax(pg_current_snapshot())::text::bigint,
		clock_timestamp(), coalesce(bool_or(pgsolo.is_new(e.created_at, e.xmin, p.at, p.number::text::xid8)), false),
		l.epoch, l.checked_id, l.checked_at, l.checked_xid::text::bigint, (` + pg.SelectSequence + `)
	from unnest($1::bigint[], $2::timestamptz[], $3::bigint[]) p (id, at, number)
		cross join lateral (
			select e.created_at, e.xmin from pgsolo.event e where e.id <= p.id and e.id > p.id - 1000
			order by e.id desc limit 1
		) e
		right join pgsolo.event_id_seq s on true
		join pgsolo.log l on l.epoch = (select max(epoch) from pgsolo.log)
	group by s.is_called, s.last_value, l.epoch`

// end is the end of the log as one poll finds it.
type end struct {
	last       int64 // the highest id given out
	xmin, xmax int64 // of a snapshot from before
	at         time.Time
	passed     bool // an id up to a proof was given out again
	epoch      int64
	checked    logread.Point // the latest that some leader has written down
	refusal    string        // why events would be overlooked; mostly empty
}

// readEnd reads the end of the log. With a role that may not read it, every consumer reads each time.
func (p *Poll) readEnd(ctx context.Context) (e end, err error) {
	if p.refused {
		p.ring()
		return end{}, nil
	}
	var (
		ids     []int64
		ats     []*time.Time
		numbers []*int64
	)
	for _, proof := range p.points() {
		ids, ats, numbers = append(ids, proof.ID), append(ats, proof.At), append(numbers, proof.Number)
	}
	err = p.DB.PersistAllowed(ctx, p.Logger, lookAtEnd, p.pulse.During(func(ctx context.Context) error {
		return p.DB.QueryRow(ctx, selectEnd, ids, ats, numbers).
			Scan(&e.last, &e.xmin, &e.xmax, &e.at, &e.passed, &e.epoch, &e.checked.ID, &e.checked.At,
				&e.checked.Number, &e.refusal)
	}))
	if pg.IsNotAllowed(err) {
		p.refused = true
		p.Logger.Warn("the role may not look at the end of the event log, so that an idle leader reads the log instead",
			"error", err)
		p.ring()
		return end{}, nil
	}
	return e, err
}

func (p *Poll) transactionNumber(ctx context.Context) (number int64, err error) {
	err = p.DB.Persist(ctx, p.Logger, lookAtEnd, p.pulse.During(func(ctx context.Context) (err error) {
		number, err = logread.TransactionNumber(ctx, p.DB)
		return err
	}))
	return number, err
}
