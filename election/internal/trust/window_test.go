package trust

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// fakeClock is set by hand.
type fakeClock struct {
	mu sync.Mutex // guards the moment
	Moment
}

func (f *fakeClock) now() Moment {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.Moment
}

func (f *fakeClock) clock() Clock {
	return Clock{Now: f.now, Mono: func() time.Duration { return f.now().Mono }}
}

func (f *fakeClock) pass(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.Mono += d
	f.Wall += d
	f.Boot += d
}

// The window goes by the monotonic clock, and by the boot clock where that shows more. Its end is final.
func TestWindow(t *testing.T) {
	const lasts = 3 * time.Second
	for name, test := range map[string]struct {
		happens func(*fakeClock)
		open    bool // without a ping
	}{
		"nothing":                                {func(*fakeClock) {}, true},
		"within the window":                      {func(f *fakeClock) { f.pass(lasts - 1) }, true},
		"after the window":                       {func(f *fakeClock) { f.pass(lasts) }, false},
		"suspended for longer":                   {func(f *fakeClock) { f.Boot += lasts; f.Wall += lasts }, false},
		"suspended, and the wall clock set back": {func(f *fakeClock) { f.Boot += lasts }, false},
		"clocks that drift":                      {func(f *fakeClock) { f.Wall += time.Millisecond }, true},
	} {
		synctest.Test(t, func(t *testing.T) {
			var f fakeClock
			asked := 0
			w := NewWindow(f.clock(), f.now(), lasts, 100*time.Millisecond, func() { asked++ })
			test.happens(&f)
			if got := w.Open(); got != test.open {
				t.Errorf("%s: open %t, want %t", name, got, test.open)
			}
			if extended := w.Extend(f.now()); extended != test.open {
				t.Errorf("%s: extended %t, want %t", name, extended, test.open)
			}
			if got := w.Open(); got != test.open {
				t.Errorf("%s: open %t after a ping, want %t", name, got, test.open)
			}
			if asked > 1 {
				t.Errorf("%s: asked for %d pings", name, asked)
			}
		})
	}
}

// Where the clocks disagree, nothing is said until a ping is answered that was sent afterwards, or the window is over.
func TestAPingIsWaitedForWhereClocksDisagree(t *testing.T) {
	const lasts = 3 * time.Second
	for name, test := range map[string]struct {
		happens  func(*fakeClock)
		answered bool
	}{
		"wall clock, forwards":  {func(f *fakeClock) { f.Wall += time.Hour }, true},
		"wall clock, backwards": {func(f *fakeClock) { f.Wall -= time.Hour }, true},
		"suspended":             {func(f *fakeClock) { f.Boot += time.Second; f.Wall += time.Second }, true},
		"no answer":             {func(f *fakeClock) { f.Wall += time.Hour }, false},
	} {
		synctest.Test(t, func(t *testing.T) {
			var f fakeClock
			asked := make(chan struct{}, 10)
			w := NewWindow(f.clock(), f.now(), lasts, 100*time.Millisecond, func() { asked <- struct{}{} })
			stale := f.now()
			test.happens(&f)
			answer := make(chan bool, 1)
			go func() { answer <- w.Open() }()
			<-asked
			w.Extend(stale) // a ping that was on its way when it happened
			synctest.Wait()
			<-asked
			select {
			case open := <-answer:
				t.Errorf("%s: open is %t before a ping is answered", name, open)
			default:
			}
			if test.answered {
				w.Extend(f.now())
			} else {
				f.pass(lasts)
			}
			if open := <-answer; open != test.answered {
				t.Errorf("%s: open %t, want %t", name, open, test.answered)
			}
			if again := w.Extend(f.now()); again != test.answered {
				t.Errorf("%s: extended %t, want %t", name, again, test.answered)
			}
		})
	}
}
