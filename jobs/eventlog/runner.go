package eventlog

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"

	"golang.org/x/sync/errgroup"

	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/cursor"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/declaration"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/trial"
	"github.com/pgsolo/pgsolo/jobs/eventlog/internal/txsession"
	"github.com/pgsolo/pgsolo/jobs/internal/group"
	"github.com/pgsolo/pgsolo/jobs/internal/logread"
	"github.com/pgsolo/pgsolo/jobs/internal/loop"
	"github.com/pgsolo/pgsolo/jobs/internal/pg"
	"github.com/pgsolo/pgsolo/jobs/internal/wake"
)

// Runner runs handlers of events for one leader at a time. It is a jobs.Engine.
type Runner struct {
	options  Options
	db       pg.DB
	group    group.Group
	handlers []*logHandler
	channels []*channelHandler
	logs     *logread.Logs
	poll     *wake.Poll
	sessions *txsession.Share // of HandleTx
	leads    atomic.Bool      // Run runs
	oldest   cursor.Oldest

	declaration declaration.Declaration
	heldBack    atomic.Pointer[[]jobs.HeldBack]
}

// New checks the options. Its errors name the handler or topic and the field.
func New(options Options) (*Runner, error) {
	options, err := options.withDefaults()
	if err != nil {
		return nil, err
	}
	db := pg.DB{Pool: options.Pool, Schema: options.Schema}
	if options.Transactions == nil {
		options.Transactions = NewTransactions(options.Pool)
	}
	r := &Runner{
		options: options, db: db, logs: logread.NewLogs(db, options.Logger.Named("log")),
		group:    group.Group{DB: db, Name: options.Group, ForgetAfter: options.ForgetAfter},
		sessions: options.Transactions.Share(),
		oldest:   cursor.Oldest{DB: db, Logger: options.Logger.Named("stats")},
	}
	r.oldest.Seen = r.seen
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
			handler := newLogHandler(h, db, options.Group, r.logs.Of(h.Topic), logger)
			handler.sessions = r.sessions
			r.handlers = append(r.handlers, handler)
		case options.Subscribe == nil:
			return nil, fmt.Errorf("jobs: handler %q: Channel needs Options.Subscribe", h.Name)
		default:
			r.channels = append(r.channels, &channelHandler{executor{Handler: h, logger: logger}})
		}
	}
	r.declaration = declaration.New(r.group, options.declares(r.handlers), options.Logger.Named("topics"))
	r.poll = wake.NewPoll(wake.PollOptions{
		DB: db, Logger: options.Logger.Named("poll"), Consumers: r.wakeables(), Rings: &r.logs.Rings,
		Emitters: &r.logs.Emitters, Bell: options.Subscribe != nil,
	})
	return r, nil
}

func (r *Runner) wakeables() []wake.Consumer {
	all := make([]wake.Consumer, len(r.handlers))
	for i, h := range r.handlers {
		all[i] = h
	}
	return all
}

// Run runs everything for one leader, and must not be called again before it has returned. It ends
//
//   - when Stopping is closed: nothing new is begun, what runs may finish, and its outcome is written;
//   - when ctx is done, before or after that: what runs is cancelled, and waited for;
//   - with jobs.ErrFenced, wrapped, when a newer leader has claimed a cursor;
//   - with an error when the database has not answered for 30 s, or is not of this version's schema. What it answers
//     is no reason: see package jobs.
//
// It returns nil in the first two cases. Whatever the case, nothing that it started runs any more.
func (r *Runner) Run(ctx context.Context, lead jobs.Lead) error {
	running, runningCtx := errgroup.WithContext(ctx)
	leadership, end := loop.Lead(runningCtx, lead.Number, lead.Holder, lead.Stopping, lead.Held)
	defer end()
	start := func(run func(context.Context, *loop.Leadership) error) {
		running.Go(func() error { return run(runningCtx, leadership) })
	}
	background := func(run func()) {
		running.Go(func() error { run(); return nil })
	}
	leave := r.group.Attend(ctx, lead.Number, r.options.Logger.Named("group"))

	r.leads.Store(true)
	defer r.leads.Store(false)
	r.logs.Begin()
	trials := trial.New(r.db, r.options.Group, lead.Number, r.options.Logger.Named("trial"))
	claims := loop.NewTurns()
	for _, h := range r.handlers {
		h.begin(leadership, claims, trials) // before the doorbell can ring it
	}
	afterReads := func(run func(context.Context, *loop.Leadership) error) {
		start(func(ctx context.Context, lead *loop.Leadership) error {
			r.awaitReads(lead)
			return run(ctx, lead)
		})
	}
	if len(r.handlers) > 0 {
		began, _ := claims.Take(context.WithoutCancel(ctx), firstTurn) // which is free, and the handlers wait for this
		running.Go(func() error { return trials.Run(runningCtx, leadership, r.handlerNames(), began) })
		r.poll.Begin()
		afterReads(r.poll.Run)
	}
	afterReads(r.runDoorbell)
	for _, h := range r.channels {
		running.Go(func() error { return r.runChannel(runningCtx, leadership, h) })
	}
	for _, h := range r.handlers {
		running.Go(func() error { return h.run(runningCtx) })
	}
	declared := make(chan struct{})
	running.Go(func() error { return r.declare(leadership, declared) })
	running.Go(func() error { return r.declareTopics(leadership, declared) })
	if len(r.handlers)+len(r.options.Topics) > 0 {
		background(func() { r.trim(leadership, declared) })
	}
	if len(r.handlers) > 0 {
		background(func() { r.oldest.Watch(runningCtx, leadership) })
	}
	if slices.ContainsFunc(r.handlers, func(h *logHandler) bool { return h.HandleTx != nil }) {
		background(func() { r.sessions.Run(leadership.Starting) })
	}
	err := running.Wait()
	leave(err == nil && ctx.Err() == nil)
	r.heldBack.Store(nil)
	r.poll.SetMode(wake.ModeNone)
	if ctx.Err() != nil && !errors.Is(err, jobs.ErrFenced) {
		return nil
	}
	return err
}

func (r *Runner) runChannel(ctx context.Context, lead *loop.Leadership, h *channelHandler) error {
	subscription, err := r.options.Subscribe(h.Channel)
	if err != nil {
		return fmt.Errorf("subscribe handler %q to channel %q: %w", h.Name, h.Channel, err)
	}
	return h.run(ctx, lead, subscription)
}

// runDoorbell runs what producers ring, or sees to it that they do not.
func (r *Runner) runDoorbell(ctx context.Context, lead *loop.Leadership) error {
	o := r.options
	bell := wake.Bell{DB: r.db, Group: o.Group, Term: lead.Term, Logger: o.Logger.Named("doorbell")}
	if o.Subscribe == nil || len(r.handlers) == 0 {
		if len(r.handlers) > 0 {
			r.poll.SetMode(wake.ModeOff)
		}
		return bell.Disarm(ctx)
	}
	subscription, err := o.Subscribe(r.db.Place(wake.Channel))
	if err != nil {
		return fmt.Errorf("subscribe to the doorbell: %w", err)
	}
	return wake.NewDoorbell(bell, subscription, r.poll).Run(ctx, lead)
}

// Healthy returns an error that names the first loop, of a handler or of the poll, that has not moved for 20 s while
// Run runs. Its leader should give up. A handler's function may take any time.
func (r *Runner) Healthy() error {
	for _, h := range r.handlers {
		if err := h.pulse.Check(fmt.Sprintf("the loop of handler %q", h.Name)); err != nil {
			return err
		}
	}
	return r.poll.Healthy()
}
