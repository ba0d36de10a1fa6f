package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/replica"
)

// Bench is one set of figures, and one sub-command of `pgsolo bench`.
type Bench struct {
	Name  string
	Short string // in a line
	Long  string // what each figure is

	Backlog bool // it has one: Options.Events

	measure func(context.Context, *run) error
}

// All is the table of benches.
func All() []Bench {
	return []Bench{
		{
			Name: "election", Short: "From the end of a leader to its successor, and what a standby costs",
			Long: electionFigures, measure: measureElection,
		},
		{
			Name: "listener", Short: "Delivery, latency and channels of a LISTEN session, beside a bare one",
			Long: listenerFigures, measure: measureListener,
		},
		{
			Name: "events", Short: "Backlog, latency and producers of the event log, beside bare SQL",
			Long: eventsFigures, Backlog: true, measure: measureEvents,
		},
		{
			Name: "cron", Short: "Lateness and cost of cron jobs, beside bare SQL and a bare timer",
			Long: cronFigures, measure: measureCron,
		},
	}
}

// Options of Run. Those without a default are required.
type Options struct {
	URL string // of a server to use; default: a private one

	N     int  // samples of the main figures; default 100, and 5 if Quick
	Quick bool // a few seconds rather than a minute or two

	Events int // of the backlog; default 1,000,000, and 100,000 if Quick

	JSON   bool // one object per figure and line, when it is known, rather than a table at the end
	Strict bool // a goal that is not met is an error

	Out      io.Writer // takes the figures
	Progress io.Writer
	Live     bool // Progress is a terminal that takes escape sequences
}

// ErrGoal means that a goal is not met. Only Options.Strict asks for it.
var ErrGoal = errors.New("a goal is not met")

// errInterrupted says that figures are missing because a person ended the bench.
var errInterrupted = errors.New("interrupted: not every figure was measured")

// sizes are how much is measured.
type sizes struct {
	main     int           // samples of the main figures
	others   int           // samples of the others
	freezes  int           // samples that take a lease each
	bursts   int           // samples of 100,000 notifications each
	notifies int           // samples of one notification each
	phases   int           // samples of an idle listener, each some seconds
	standbys int           // in the figure with many
	watch    time.Duration // how long a standby is watched

	settling  time.Duration // how long a leader idles before it is watched
	rounds    int           // samples of the backlog, and of the inserts as fast as they go
	inserting time.Duration // how long each of the latter takes
	paced     int           // samples of one event each
	events    int           // of the backlog

	crons     int           // jobs, where there are many
	cronEvery time.Duration // from one burst of theirs to the next; whole seconds, of which a minute is a multiple
	cronWatch time.Duration // how long a leader is watched whose jobs do not start
	takeovers int           // samples of a leader's start
	lone      int           // samples of one tick each
}

func (o Options) sizes() sizes {
	s := sizes{
		main: 100, others: 50, freezes: 5, phases: 3, standbys: 50, watch: 10 * time.Second,
		settling: 11 * time.Second, inserting: 2500 * time.Millisecond, events: 1_000_000,
		crons: 10_000, cronEvery: 10 * time.Second, cronWatch: 20 * time.Second,
	}
	if o.Quick {
		s = sizes{
			main: 5, others: 3, freezes: 1, phases: 1, standbys: 10, watch: 3 * time.Second,
			settling: 2 * time.Second, inserting: 750 * time.Millisecond, events: 100_000,
			crons: 1000, cronEvery: 3 * time.Second, cronWatch: time.Second,
		}
	}
	if o.N > 0 {
		s.main, s.others, s.freezes, s.phases = o.N, (o.N+1)/2, min(s.freezes, o.N), min(s.phases, o.N)
	}
	s.bursts, s.notifies = max(1, s.main/14), 5*s.main
	s.rounds, s.paced = max(1, s.main/20), 6*s.main
	s.takeovers, s.lone = s.rounds, max(2, s.main)
	if o.Events > 0 {
		s.events = o.Events
	}
	return s
}

// run is one run of one bench. One goroutine uses it.
type run struct {
	options  Options
	sizes    sizes
	progress *progress
	url      string    // of the bench's own database
	own      *pgx.Conn // to it
	admin    *pgx.Conn // to another database of the same server, so that it adds nothing to what is counted
	figures  []Figure
}

// Run measures, until it is done or ctx ends, and leaves nothing behind.
func (b Bench) Run(ctx context.Context, options Options) (err error) {
	r := &run{options: options, sizes: options.sizes(), progress: &progress{out: options.Progress, live: options.Live}}
	db, err := openDatabase(ctx, options, r.progress)
	defer func() {
		if ctx.Err() != nil {
			err = errInterrupted // whatever it interrupted
		}
		err = errors.Join(err, db.close(context.WithoutCancel(ctx)))
	}()
	if err != nil {
		return err
	}
	if err := r.connect(ctx, db); err != nil {
		return err
	}
	defer r.disconnect(context.WithoutCancel(ctx))
	err = b.measure(ctx, r)
	r.progress.clear()
	if err != nil {
		return err
	}
	return r.conclude()
}

func (r *run) connect(ctx context.Context, db *database) error {
	if err := replica.Migrate(ctx, db.url, "pgsolo"); err != nil {
		return err
	}
	r.url, r.admin = db.url, db.admin
	config, err := pgx.ParseConfig(db.url)
	if err != nil {
		return err
	}
	config.RuntimeParams["application_name"] = ownName
	sessions(config)
	r.own, err = pgx.ConnectConfig(ctx, config)
	return err
}

func (r *run) disconnect(ctx context.Context) { _ = r.own.Close(ctx) }

// report takes figures that are known.
func (r *run) report(figures ...Figure) error {
	r.figures = append(r.figures, figures...)
	if !r.options.JSON {
		return nil
	}
	r.progress.clear()
	for _, f := range figures {
		if err := writeJSON(r.options.Out, f); err != nil {
			return err
		}
	}
	return nil
}

// conclude shows the table, and judges.
func (r *run) conclude() error {
	if !r.options.JSON {
		if err := writeTable(r.options.Out, r.figures); err != nil {
			return err
		}
	}
	var missed []string
	for _, f := range r.figures {
		if !f.Met {
			missed = append(missed, f.Figure)
		}
	}
	if r.options.Strict && len(missed) > 0 {
		return fmt.Errorf("%w: %s", ErrGoal, strings.Join(missed, ", "))
	}
	return nil
}

// await asks done every few milliseconds until it says so. what names that in the error, after 30 s.
func await(ctx context.Context, what string, done func(ctx context.Context) (bool, error)) error {
	ctx, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("waited %s for %s", patience, what))
	defer cancel()
	ticker := time.NewTicker(3 * time.Millisecond)
	defer ticker.Stop()
	for {
		ok, err := done(ctx)
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-ticker.C:
		}
	}
}

// patience is how long anything that is waited for may take, far longer than it should.
const patience = 30 * time.Second
