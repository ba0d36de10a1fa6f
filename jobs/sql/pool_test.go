package sql

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"

	"github.com/pgsolo/pgsolo/jobs"
)

// While the only session is being opened, for as long as a server that does not answer likes, the attempt that it is
// for has no session, and counts; one that waits behind it does not.
func TestWaitBehindASessionThatIsOpened(t *testing.T) {
	config, err := pgxpool.ParseConfig("postgres://app@127.0.0.1:1/nowhere")
	if err != nil {
		t.Fatal(err)
	}
	opening, opened := make(chan struct{}), make(chan struct{})
	config.MaxConns = 1
	config.BeforeConnect = func(context.Context, *pgx.ConnConfig) error {
		close(opening)
		<-opened
		return errors.New("no answer")
	}
	WatchPool(config)
	pool, err := pgxpool.NewWithConfig(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	defer close(opened)
	statement := Statement{SQL: `select 1`, Pool: pool, Watched: true}

	first, end := context.WithCancelCause(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- statement.Run(first, jobs.Invocation{}) }()
	<-opening
	second, cancel := context.WithTimeoutCause(t.Context(), 10*time.Millisecond, errors.New("time is up"))
	defer cancel()
	if err := statement.Run(second, jobs.Invocation{}); !errors.Is(err, jobs.ErrAllTaken) {
		t.Errorf("the one that waited: %v", err)
	}
	end(errors.New("time is up"))
	if err := <-ended; !strings.HasPrefix(text(err), "open session: time is up") || errors.Is(err, jobs.ErrAllTaken) {
		t.Errorf("the one that opened: %v", err)
	}
}

// A session that was given back after the time was up makes no difference.
func TestWaitThatEndsBeforeASessionIsFree(t *testing.T) {
	one := oneSession(t, setup(t))
	taken, err := one.Acquire(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, end := context.WithCancelCause(t.Context())
	released := released{ctx, taken}
	end(errors.New("time is up"))
	err = Statement{SQL: `select 1`, Pool: one, Watched: true}.Run(released, jobs.Invocation{})
	if !errors.Is(err, jobs.ErrAllTaken) {
		t.Errorf("error %v", err)
	}
}

// released is a context that gives a session back when it is asked, at its end, why.
type released struct {
	context.Context
	taken *pgxpool.Conn
}

func (r released) Err() error {
	err := r.Context.Err()
	if err != nil {
		r.taken.Release() // does nothing the second time
	}
	return err
}
