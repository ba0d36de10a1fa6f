package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"github.com/jackc/pgx/v5/pgconn"
	"golang.org/x/sync/errgroup"
)

// Runner runs handlers and cron jobs for one leader at a time.
type Runner struct {
	options   Options
	consumers []*consumer
	channels  []*channelHandler
	cron      *scheduler
	logs      map[string]*eventLog // by topic
	rings     atomic.Int64         // counted before consumers are woken to read
	poll      *poll
	ringMode  atomic.Value // a RingMode
	leads     atomic.Bool  // Run runs
}

// New checks the options. Its errors name the handler, topic or cron job and the field.
func New(options Options) (*Runner, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Runner{options: options, logs: map[string]*eventLog{}}
	names := map[string]bool{}
	for i := range options.Handlers {
		h, err := options.Handlers[i].withDefaults()
		if err != nil {
			return nil, err
		}
		if names[h.Name] {
			return nil, fmt.Errorf("jobs: two handlers are named %q", h.Name)
		}
		names[h.Name] = true
		logger := options.Logger.Named("handler").With("handler", h.Name)
		switch {
		case h.Topic != "":
			c := newConsumer(h, r.log(h.Topic), logger)
			c.group = options.Group
			r.consumers = append(r.consumers, c)
		case options.Subscribe == nil:
			return nil, fmt.Errorf("jobs: handler %q: Channel needs Options.Subscribe", h.Name)
		default:
			r.channels = append(r.channels, &channelHandler{Handler: h, logger: logger})
		}
	}
	if r.cron, err = newScheduler(options, options.Logger.Named("cron")); err != nil {
		return nil, fmt.Errorf("jobs: %w", err)
	}
	r.poll = &poll{
		log: newLogReader(options.Pool, options.Schema, ""), logger: options.Logger.Named("poll"), consumers: r.consumers,
		rings: &r.rings, bell: options.Subscribe != nil, restart: make(chan struct{}, 1),
	}
	return r, nil
}

// log returns what the handlers of a topic share, for another one of them.
func (r *Runner) log(topic string) *eventLog {
	log, ok := r.logs[topic]
	if !ok {
		log = newEventLog(newLogReader(r.options.Pool, r.options.Schema, topic), &r.rings)
		r.logs[topic] = log
	}
	log.readers++
	return log
}

// Lead is what a Runner is told of a leadership.
type Lead struct {
	Term     int64           // the higher one is the newer one
	Holder   string          // who leads, for the history of cron jobs; may be empty
	Stopping <-chan struct{} // closed when it should hand over; nil: never
	Held     func() bool     // asked right before a handler or job is called, which is not if false; nil: always true
}

// Run runs everything for one leader, and must not be called again before it has returned. It ends
//
//   - when Stopping is closed: nothing new is begun, what runs may finish, and its outcome is written;
//   - when ctx is done, before or after that: what runs is cancelled, and waited for;
//   - with ErrFenced when a newer leader has claimed a cursor or a cron job;
//   - with an error when the database has not answered for 30 s, or ErrSchema when Migrate has not been called.
//
// It returns nil in the first two cases. Whatever the case, nothing that it started runs any more.
func (r *Runner) Run(ctx context.Context, lead Lead) error {
	term, stop := lead.Term, lead.Stopping
	group, groupCtx := errgroup.WithContext(ctx)
	start := func(run func(context.Context) error) { group.Go(func() error { return run(groupCtx) }) }

	r.leads.Store(true)
	defer r.leads.Store(false)
	for _, log := range r.logs {
		log.begin()
	}
	for _, c := range r.consumers {
		c.begin(lead) // before the doorbell can ring it
	}
	if len(r.consumers) > 0 {
		r.poll.begin()
		start(func(ctx context.Context) error { return r.poll.run(ctx, stop) })
	}
	start(func(ctx context.Context) error { return r.runDoorbell(ctx, term, stop) })
	for _, h := range r.channels {
		h.term, h.held = term, lead.Held
		start(func(ctx context.Context) error { return r.runChannel(ctx, h, stop) })
	}
	for _, c := range r.consumers {
		start(func(ctx context.Context) error { return c.run(ctx, stop) })
	}
	start(func(ctx context.Context) error { return r.cron.run(ctx, lead) })
	start(func(ctx context.Context) error { return r.declare(ctx, term, stop) })
	if len(r.consumers)+len(r.options.Topics) > 0 {
		start(func(ctx context.Context) error { return r.trim(ctx, stop) })
	}
	if len(r.consumers) > 0 {
		start(func(ctx context.Context) error { return r.watchOldest(ctx, stop) })
	}
	err := group.Wait()
	r.ringMode.Store(RingNone)
	if ctx.Err() != nil && !errors.Is(err, ErrFenced) {
		return nil
	}
	if pgErr, ok := errors.AsType[*pgconn.PgError](err); ok && pgErr.Code == undefinedTable {
		return fmt.Errorf("%w: call Migrate: %w", ErrSchema, err)
	}
	return err
}

func (r *Runner) runChannel(ctx context.Context, h *channelHandler, stop <-chan struct{}) error {
	subscription, err := r.options.Subscribe(h.Channel)
	if err != nil {
		return fmt.Errorf("subscribe handler %q to channel %q: %w", h.Name, h.Channel, err)
	}
	return h.run(ctx, stop, subscription)
}

// runDoorbell runs what producers ring, or sees to it that they do not.
func (r *Runner) runDoorbell(ctx context.Context, term int64, stop <-chan struct{}) error {
	o := r.options
	bell := &doorbell{
		pool: o.Pool, schema: o.Schema, group: o.Group, term: term, logger: o.Logger.Named("doorbell"), poll: r.poll, mode: &r.ringMode,
	}
	if o.Subscribe == nil || len(r.consumers) == 0 {
		if len(r.consumers) > 0 {
			r.ringMode.Store(RingOff)
		}
		err := bell.arm(ctx, false) // a leader of another configuration may have left it armed
		if isNotAllowed(err) && len(r.consumers) == 0 {
			return nil // nor does the role need to, until there are handlers
		}
		return err
	}
	var err error
	if bell.subscription, err = o.Subscribe(inSchema(doorbellChannel, o.Schema)); err != nil {
		return fmt.Errorf("subscribe to the doorbell: %w", err)
	}
	return bell.run(ctx, stop)
}
