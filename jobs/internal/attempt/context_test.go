package attempt

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/sync/errgroup"
)

type answers struct {
	Err, Cause  string
	Done        bool
	Deadline    time.Time
	HasDeadline bool
}

func ask(ctx context.Context) (a answers) {
	a.Err, a.Cause = fmt.Sprint(ctx.Err()), fmt.Sprint(context.Cause(ctx))
	select {
	case <-ctx.Done():
		a.Done = true
	default:
	}
	a.Deadline, a.HasDeadline = ctx.Deadline()
	return a
}

// Whatever happens, and whatever is asked after it, the answers are those of the standard library.
func TestAttemptContextIsLikeTheStandardLibrarys(t *testing.T) {
	const timeout = time.Minute
	lost := errors.New("leadership lost")
	type step func(parent context.CancelCauseFunc, finish func())
	var (
		pass   step = func(context.CancelCauseFunc, func()) { <-time.After(timeout) }
		cancel step = func(parent context.CancelCauseFunc, _ func()) { parent(lost) }
		finish step = func(_ context.CancelCauseFunc, finish func()) { finish() }
	)
	for name, test := range map[string]struct {
		parent time.Duration // its deadline
		steps  []step
	}{
		"nothing":                          {0, nil},
		"timeout":                          {0, []step{pass}},
		"timeout, finished":                {0, []step{pass, finish}},
		"timeout, parent cancelled":        {0, []step{pass, cancel}},
		"parent cancelled":                 {0, []step{cancel}},
		"parent cancelled, timeout":        {0, []step{cancel, pass}},
		"parent cancelled, finished":       {0, []step{cancel, finish}},
		"finished":                         {0, []step{finish}},
		"finished, timeout":                {0, []step{finish, pass}},
		"finished, parent cancelled":       {0, []step{finish, cancel}},
		"parent's deadline is sooner":      {timeout / 2, []step{pass}},
		"parent's deadline is later":       {2 * timeout, []step{pass, pass}},
		"finished before a sooner one":     {timeout / 2, []step{finish, pass}},
		"parent cancelled before a sooner": {timeout / 2, []step{cancel, pass, finish}},
	} {
		for _, onlyErr := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/only_err=%t", name, onlyErr), func(t *testing.T) {
				run := func(derive func(context.Context) (context.Context, func())) (all []answers) {
					synctest.Test(t, func(t *testing.T) {
						parent, end := context.WithCancelCause(t.Context())
						defer end(nil)
						if test.parent > 0 {
							var stop context.CancelFunc
							parent, stop = context.WithTimeout(parent, test.parent)
							defer stop()
						}
						ctx, finish := derive(parent)
						defer finish()
						for _, step := range test.steps {
							step(end, finish)
							synctest.Wait()
							if onlyErr {
								all = append(all, answers{Err: fmt.Sprint(ctx.Err())})
							} else {
								all = append(all, ask(ctx))
							}
						}
						all = append(all, ask(ctx))
					})
					return all
				}
				want := run(func(parent context.Context) (context.Context, func()) {
					ctx, cancel := context.WithTimeoutCause(parent, timeout, &timeoutError{timeout})
					return ctx, cancel
				})
				got := run(func(parent context.Context) (context.Context, func()) {
					a := New(parent, timeout, nil).newContext()
					return a, func() { a.finish() }
				})
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("-standard library +attempt\n%s", diff)
				}
			})
		}
	}
}

// What a handler derives from its context ends with the attempt, and leaves nothing behind: a goroutine that waited for
// the parent would keep this bubble from ending.
func TestWhatIsDerivedEndsWithTheAttempt(t *testing.T) {
	type key struct{}
	synctest.Test(t, func(t *testing.T) {
		parent, cancel := context.WithCancel(context.WithValue(context.Background(), key{}, "value"))
		defer cancel()
		a := New(parent, time.Minute, nil).newContext()
		child, stop := context.WithCancel(a)
		defer stop()
		timed, stopTimed := context.WithTimeout(context.WithValue(a, key{}, "own"), time.Hour)
		defer stopTimed()
		group, groupCtx := errgroup.WithContext(a)
		group.Go(func() error { <-groupCtx.Done(); return groupCtx.Err() })
		called := make(chan struct{})
		context.AfterFunc(a, func() { close(called) })
		if a.Value(key{}) != "value" || timed.Value(key{}) != "own" {
			t.Error("a value is missing")
		}
		if deadline, _ := timed.Deadline(); !deadline.Equal(a.deadline()) {
			t.Errorf("a derived deadline is %s, later than the attempt's", deadline)
		}
		synctest.Wait()
		if child.Err() != nil || timed.Err() != nil {
			t.Error("ended before the attempt")
		}
		a.finish()
		<-child.Done()
		<-timed.Done()
		<-called
		if err := group.Wait(); !errors.Is(err, context.Canceled) {
			t.Errorf("group: %v", err)
		}
	})
}

// registry is a parent that counts those that wait for it.
type registry struct {
	context.Context
	mu      sync.Mutex
	waiting int
}

func (r *registry) Done() <-chan struct{} { return make(chan struct{}) }

func (r *registry) AfterFunc(func()) func() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.waiting++
	return func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.waiting--
		return true
	}
}

func TestAttemptLetsGoOfItsParent(t *testing.T) {
	parent := &registry{Context: context.Background()}
	a := New(parent, time.Hour, nil).newContext()
	if a.Err(); parent.waiting != 0 {
		t.Error("registered with its parent although none waits")
	}
	a.Done()
	if parent.waiting != 1 {
		t.Errorf("%d wait for the parent, want 1", parent.waiting)
	}
	if a.finish(); parent.waiting != 0 {
		t.Error("still registered after the end")
	}
	if a.Done(); parent.waiting != 0 {
		t.Error("registered after the end")
	}
	late := New(parent, time.Hour, nil).newContext()
	late.finish()
	if <-late.Done(); parent.waiting != 0 {
		t.Error("registered by a question after the end")
	}
}

func TestAttemptContextFromManyGoroutines(t *testing.T) {
	parent, cancel := context.WithCancel(t.Context())
	defer cancel()
	for range 200 {
		a := New(parent, time.Hour, nil).newContext()
		var asking sync.WaitGroup
		for range 4 {
			asking.Go(func() {
				for a.Err() == nil {
					child, stop := context.WithCancel(a)
					_ = child.Value("key")
					stop()
				}
				<-a.Done()
			})
		}
		a.finish()
		asking.Wait()
	}
}

func TestAttemptAllocatesItsContextOnly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	attempts := New(ctx, time.Minute, nil)
	if n := testing.AllocsPerRun(1000, func() {
		_, _ = attempts.Do(func(ctx context.Context) error { return ctx.Err() })
	}); n > 1 {
		t.Errorf("%.1f allocations for each attempt, want 1", n)
	}
}
