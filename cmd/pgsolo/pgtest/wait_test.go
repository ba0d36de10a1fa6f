package pgtest

import (
	"runtime"
	"testing"
	"testing/synctest"
	"time"
)

// failing is a test whose failure is seen instead of reported.
type failing struct {
	testing.TB
	failed bool
}

func (f *failing) Helper()               {}
func (f *failing) Failed() bool          { return f.failed }
func (f *failing) Errorf(string, ...any) { f.failed = true }
func (f *failing) Fatalf(string, ...any) {
	f.failed = true
	runtime.Goexit()
}

// outcome runs a function as a test of its own.
func outcome(run func(testing.TB)) (failed bool) {
	f := new(failing)
	done := make(chan struct{})
	go func() {
		defer close(done)
		run(f)
	}()
	<-done
	return f.failed
}

func TestWaitsEndAtTheLimit(t *testing.T) {
	for name, wait := range map[string]func(testing.TB){
		"Eventually": func(t testing.TB) { Eventually(t, "it", func() bool { return false }) },
		"Within":     func(t testing.TB) { Within(t, "it", make(chan int)) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began := time.Now()
				if failed, took := outcome(wait), time.Since(began); !failed || took != Patience {
					t.Errorf("failed: %t after %s", failed, took)
				}
			})
		})
	}
}

func TestWaitsEndWithWhatTheyWaitFor(t *testing.T) {
	values, closed := make(chan int), make(chan int)
	close(closed)
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		Eventually(t, "a second", func() bool { return time.Since(began) >= time.Second })
		if took := time.Since(began); took > time.Second+pollInterval {
			t.Errorf("noticed after %s", took)
		}
	})
	go func() { values <- 7 }()
	if got := Within(t, "a value", values); got != 7 {
		t.Errorf("got %d", got)
	}
	if got := Within(t, "the end", closed); got != 0 {
		t.Errorf("got %d from a closed channel", got)
	}
}

func TestQuicklyTriesThreeTimes(t *testing.T) {
	for name, test := range map[string]struct {
		took   []time.Duration
		failed bool
	}{
		"at once":    {[]time.Duration{time.Second}, false},
		"at last":    {[]time.Duration{time.Hour, time.Minute, time.Second}, false},
		"not at all": {[]time.Duration{time.Hour, time.Minute, time.Second + 1}, true},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			failed := outcome(func(t testing.TB) {
				Quickly(t, time.Second, func() time.Duration {
					tries++
					return test.took[tries-1]
				})
			})
			if failed != test.failed || tries != len(test.took) {
				t.Errorf("failed: %t after %d tries", failed, tries)
			}
		})
	}
}
