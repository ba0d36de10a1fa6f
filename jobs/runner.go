package jobs

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"golang.org/x/sync/errgroup"
)

// Runner runs handlers and cron jobs for one leader at a time.
type Runner struct {
	options   Options
	consumers []*consumer
	channels  []*channelHandler
	crons     []*cronJob
	logs      map[string]*eventLog // by topic
	rings     atomic.Int64         // of the doorbell, counted before the consumers are woken
}

// New checks the options. Its errors name the handler or cron job and the field.
func New(options Options) (*Runner, error) {
	if options.Pool == nil {
		return nil, errors.New("jobs: Pool is required")
	}
	if options.Schema == "" {
		options.Schema = DefaultSchema
	}
	if options.Group == "" {
		options.Group = "main"
	}
	if !schemaName.MatchString(options.Schema) {
		return nil, fmt.Errorf("jobs: Schema %q: want lower-case letters, digits and underscores, at most 40", options.Schema)
	}
	if len(options.Handlers)+len(options.Crons) == 0 {
		return nil, errors.New("jobs: neither Handlers nor Crons: there is nothing to run")
	}
	if options.Logger == nil {
		options.Logger = hclog.NewNullLogger()
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
			r.consumers = append(r.consumers, newConsumer(h, r.log(h.Topic), logger))
		case options.Subscribe == nil:
			return nil, fmt.Errorf("jobs: handler %q: Channel needs Options.Subscribe", h.Name)
		default:
			r.channels = append(r.channels, &channelHandler{Handler: h, logger: logger})
		}
	}
	names = map[string]bool{}
	for _, c := range options.Crons {
		job, err := newCronJob(c, options.Pool, options.Schema, options.Logger.Named("cron").With("job", c.Name))
		if err != nil {
			return nil, fmt.Errorf("jobs: %w", err)
		}
		if names[c.Name] {
			return nil, fmt.Errorf("jobs: two cron jobs are named %q", c.Name)
		}
		names[c.Name] = true
		r.crons = append(r.crons, job)
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

func (h Handler) withDefaults() (Handler, error) {
	wrong := func(format string, args ...any) (Handler, error) {
		return h, fmt.Errorf("jobs: handler %q: "+format, append([]any{h.Name}, args...)...)
	}
	if h.Concurrency == 0 {
		h.Concurrency = 1
	}
	if h.Timeout == 0 {
		h.Timeout = 30 * time.Second
	}
	if h.Retry.Attempts == 0 {
		h.Retry.Attempts = 10
	}
	if h.Retry.Backoff == 0 {
		h.Retry.Backoff = time.Second
	}
	if h.Retry.MaxBackoff == 0 {
		h.Retry.MaxBackoff = max(time.Hour, h.Retry.Backoff)
	}
	switch {
	case h.Name == "":
		return wrong("Name is required")
	case h.Handle == nil:
		return wrong("Handle is required")
	case (h.Topic == "") == (h.Channel == ""):
		return wrong("want one of Topic and Channel, got %q and %q", h.Topic, h.Channel)
	case h.Concurrency < 0:
		return wrong("Concurrency %d is negative", h.Concurrency)
	case h.Timeout < 0:
		return wrong("Timeout %s is negative", h.Timeout)
	case h.Retry.Attempts < 0:
		return wrong("Retry.Attempts %d is negative", h.Retry.Attempts)
	case h.Retry.Backoff < 0:
		return wrong("Retry.Backoff %s is negative", h.Retry.Backoff)
	case h.Retry.MaxBackoff < h.Retry.Backoff:
		return wrong("Retry.MaxBackoff %s is less than Backoff %s", h.Retry.MaxBackoff, h.Retry.Backoff)
	}
	return h, nil
}

// Lead is what a Runner is told of a leadership.
type Lead struct {
	Term     int64           // the higher one is the newer one
	Stopping <-chan struct{} // closed when it should hand over; nil: never
	Held     func() bool     // asked right before a handler or job is called, which is not if false; nil: always true
}

// Run runs everything for one leader, and must not be called again before it has returned. It ends
//
//   - when Stopping is closed: nothing new is begun, what runs may finish, and its outcome is written;
//   - when ctx is done, before or after that: what runs is cancelled, and waited for;
//   - with ErrFenced when a newer leader has claimed a cursor or a cron job;
//   - with an error when the database has not answered for 30 s.
//
// It returns nil in the first two cases. Whatever the case, nothing that it started runs any more.
func (r *Runner) Run(ctx context.Context, lead Lead) error {
	term, stop := lead.Term, lead.Stopping
	group, groupCtx := errgroup.WithContext(ctx)
	start := func(run func(context.Context) error) { group.Go(func() error { return run(groupCtx) }) }

	for _, log := range r.logs {
		log.begin()
	}
	for _, c := range r.consumers {
		c.begin(lead) // before the doorbell can ring it
	}
	if len(r.consumers) > 0 {
		start(func(ctx context.Context) error { return r.runDoorbell(ctx, term, stop) })
	}
	for _, h := range r.channels {
		h.term, h.held = term, lead.Held
		start(func(ctx context.Context) error { return r.runChannel(ctx, h, stop) })
	}
	for _, c := range r.consumers {
		start(func(ctx context.Context) error { return c.run(ctx, stop) })
	}
	for _, job := range r.crons {
		start(func(ctx context.Context) error { return job.run(ctx, lead) })
	}
	err := group.Wait()
	if ctx.Err() != nil && !errors.Is(err, ErrFenced) {
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

// runDoorbell runs what wakes the consumers.
func (r *Runner) runDoorbell(ctx context.Context, term int64, stop <-chan struct{}) error {
	ring := func() {
		r.rings.Add(1)
		for _, c := range r.consumers {
			c.ring()
		}
	}
	if r.options.Subscribe == nil {
		pollWithoutBell(ctx, stop, ring)
		return nil
	}
	subscription, err := r.options.Subscribe(inSchema(doorbellChannel, r.options.Schema))
	if err != nil {
		return fmt.Errorf("subscribe to the doorbell: %w", err)
	}
	bell := &doorbell{
		pool: r.options.Pool, schema: r.options.Schema, group: r.options.Group, term: term, logger: r.options.Logger.Named("doorbell"),
		subscription: subscription, ring: ring,
		read: func() (sum int64) {
			for _, c := range r.consumers {
				sum += c.counters.read.Load()
			}
			return sum
		},
	}
	return bell.run(ctx, stop)
}
