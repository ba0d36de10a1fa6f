package eventlog

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/wake"
)

// Runner runs handlers of events for one leader at a time. It is an Engine.
type Runner struct {
	options   Options
	consumers []*consumer
	channels  []*channelHandler
	logs      map[string]*logread.Log // by topic
	rings     atomic.Int64            // counted before consumers are woken to read
	poll      *wake.Poll
	ringMode  atomic.Value // a mode of the doorbell
	leads     atomic.Bool  // Run runs
}

// New checks the options. Its errors name the handler or topic and the field.
func New(options Options) (*Runner, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	r := &Runner{options: options, logs: map[string]*logread.Log{}}
	names := map[string]bool{}
	for i := range options.Handlers {
		h := options.Handlers[i].WithDefaults()
		if err := h.check(); err != nil {
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
	r.poll = &wake.Poll{
		Log: logread.NewReader(options.Pool, options.Schema, ""), Logger: options.Logger.Named("poll"), Consumers: r.wakeables(),
		Rings: &r.rings, Bell: options.Subscribe != nil, Restart: make(chan struct{}, 1),
	}
	return r, nil
}

// log returns what the handlers of a topic share, for another one of them.
func (r *Runner) log(topic string) *logread.Log {
	log, ok := r.logs[topic]
	if !ok {
		log = logread.NewLog(logread.NewReader(r.options.Pool, r.options.Schema, topic), &r.rings)
		r.logs[topic] = log
	}
	log.Readers++
	return log
}

func (r *Runner) wakeables() []wake.Consumer {
	all := make([]wake.Consumer, len(r.consumers))
	for i, c := range r.consumers {
		all[i] = c
	}
	return all
}

// Run runs everything for one leader, and must not be called again before it has returned. It ends
//
//   - when Stopping is closed: nothing new is begun, what runs may finish, and its outcome is written;
//   - when ctx is done, before or after that: what runs is cancelled, and waited for;
//   - with ErrFenced when a newer leader has claimed a cursor;
//   - with an error when the database has not answered for 30 s, or is not of this version's schema.
//
// It returns nil in the first two cases. Whatever the case, nothing that it started runs any more.
func (r *Runner) Run(ctx context.Context, lead jobs.Lead) error {
	term, stop := lead.Number, lead.Stopping
	group, groupCtx := errgroup.WithContext(ctx)
	start := func(run func(context.Context) error) { group.Go(func() error { return run(groupCtx) }) }

	r.leads.Store(true)
	defer r.leads.Store(false)
	for _, log := range r.logs {
		log.Begin()
	}
	for _, c := range r.consumers {
		c.begin(lead) // before the doorbell can ring it
	}
	if len(r.consumers) > 0 {
		r.poll.Begin()
		start(func(ctx context.Context) error { return r.poll.Run(ctx, stop) })
	}
	start(func(ctx context.Context) error { return r.runDoorbell(ctx, term, stop) })
	for _, h := range r.channels {
		h.term, h.held = term, lead.Held
		start(func(ctx context.Context) error { return r.runChannel(ctx, h, stop) })
	}
	for _, c := range r.consumers {
		start(func(ctx context.Context) error { return c.run(ctx, stop) })
	}
	start(func(ctx context.Context) error { return r.declare(ctx, term, stop) })
	if len(r.consumers)+len(r.options.Topics) > 0 {
		start(func(ctx context.Context) error { return r.trim(ctx, stop) })
	}
	if len(r.consumers) > 0 {
		start(func(ctx context.Context) error { return r.watchOldest(ctx, stop) })
	}
	err := group.Wait()
	r.ringMode.Store(wake.ModeNone)
	if ctx.Err() != nil && !errors.Is(err, jobs.ErrFenced) {
		return nil
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
	bell := &wake.Doorbell{
		Pool: o.Pool, Schema: o.Schema, Group: o.Group, Term: term, Logger: o.Logger.Named("doorbell"), Poll: r.poll, Mode: &r.ringMode,
	}
	if o.Subscribe == nil || len(r.consumers) == 0 {
		if len(r.consumers) > 0 {
			r.ringMode.Store(wake.ModeOff)
		}
		err := bell.Arm(ctx, false) // a leader of another configuration may have left it armed
		if pg.IsNotAllowed(err) && len(r.consumers) == 0 {
			return nil // nor does the role need to, until there are handlers
		}
		return err
	}
	var err error
	if bell.Subscription, err = o.Subscribe(pg.Place(wake.DoorbellChannel, o.Schema)); err != nil {
		return fmt.Errorf("subscribe to the doorbell: %w", err)
	}
	return bell.Run(ctx, stop)
}
