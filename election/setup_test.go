package election_test

import (
	"context"
	"flag"
	"os"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/pgsolo/pgsolo/cmd/pgsolo/pgtest"
	"github.com/pgsolo/pgsolo/election"
)

const (
	// calm is the lease where a test is about something else. A busy machine, which stalls for a second or two, does
	// not cost a leader that.
	calm = 30 * time.Second

	// brief is the lease where a test waits for its end. Between what a leader does by itself and what the server does
	// to it there are still more than such a stall.
	brief = 5 * time.Second

	tardy = 4 * time.Second // what a busy machine may add to a limit
)

// Many of the tests wait, rather than work, so that more of them may run at once than there are processors.
func TestMain(m *testing.M) {
	if os.Getenv(beReplica) != "" {
		replicaMain()
	}
	flag.Parse()
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	os.Exit(pgtest.Main(m, migrate))
}

var migrate = pgtest.Migrating(election.DefaultSchema, election.Migrate)

// replica is one elector that runs, and what it does when it leads.
type replica struct {
	t       *testing.T
	elector *election.Elector
	leading chan election.Term // receives each term that it leads
	cause   chan error         // receives the cause with which the leader's context ended
	stop    context.CancelFunc
	ended   chan error // receives what Run returned

	prepare func(*election.Elector) // before it runs; nil: nothing
}

// setup starts a replica that leads until it is stopped or loses the leadership.
func setup(t *testing.T, url string, change ...func(*election.Options)) *replica {
	t.Helper()
	return setupWith(t, url, nil, change...)
}

func setupWith(
	t *testing.T, url string, prepare func(*election.Elector), change ...func(*election.Options),
) *replica {
	t.Helper()
	r := &replica{
		t: t, leading: make(chan election.Term, 1), cause: make(chan error, 1), ended: make(chan error, 1),
		prepare: prepare,
	}
	r.start(url, func(ctx context.Context, term election.Term) error {
		r.leading <- term
		select {
		case <-ctx.Done():
			r.cause <- context.Cause(ctx)
		case <-term.Stopping:
		}
		return nil
	}, change...)
	return r
}

// briefly is a change of the options.
func briefly(o *election.Options) { o.Lease = brief }

func (r *replica) start(url string, lead func(context.Context, election.Term) error,
	change ...func(*election.Options)) {
	r.t.Helper()
	config, err := pgx.ParseConfig(url)
	if err != nil {
		r.t.Fatal(err)
	}
	options := election.Options{
		Config: config, Lease: calm, PollInterval: 200 * time.Millisecond,
		Unhealthy: func(err error) { r.t.Log(err) }, // as after a stall: it must not end all other tests
	}
	for _, c := range change {
		c(&options)
	}
	r.elector, err = election.New(options)
	if err != nil {
		r.t.Fatal(err)
	}
	if r.prepare != nil {
		r.prepare(r.elector)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() {
		defer close(done)
		r.ended <- r.elector.Run(ctx, lead)
	}()
	r.stop = cancel
	r.t.Cleanup(func() {
		cancel()
		pgtest.Within(r.t, "replica to end", done)
	})
}
