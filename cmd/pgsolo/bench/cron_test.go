package bench

import (
	"context"
	"testing"
	"time"

	"github.com/pgsolo/pgsolo/jobs/cron"
)

// A burst counts the first start of each job at its instant, and tells further ones from it.
func TestBurstCountsJobsOnce(t *testing.T) {
	at := time.Now().Add(-time.Second)
	b := &cronBurst{}
	b.await(at, 3)
	for _, start := range []struct {
		job int
		at  time.Time
	}{{0, at}, {1, at}, {1, at}, {2, at.Add(-time.Minute)}} {
		if err := b.start(start.job)(t.Context(), cron.Tick{ScheduledAt: start.at}); err != nil {
			t.Fatal(err)
		}
	}
	if started, twice := b.count(); started != 2 || twice != 1 {
		t.Errorf("%d jobs have started, %d of them twice, want 2 and 1", started, twice)
	}
	if b.late[0] < time.Second || b.late[0] > patience {
		t.Errorf("%s late, want somewhat more than a second", b.late[0])
	}
	b.await(at.Add(time.Second), 3)
	if started, _ := b.count(); started != 0 {
		t.Errorf("%d jobs have started in a burst that has not begun", started)
	}
}

// A lone tick that is missing is not left out of the samples.
func TestLoneTicksAreComplete(t *testing.T) {
	from := time.Now().Truncate(time.Second)
	for name, test := range map[string]struct {
		seconds []int
		want    int // samples; -1: an error
	}{
		"all":                   {[]int{0, 1, 2}, 3},
		"of a new leader":       {[]int{-1, 0, 1, 2}, 3},
		"too few":               {[]int{0, 1}, 0},
		"one missing":           {[]int{0, 1, 3}, -1},
		"one missing before it": {[]int{-3, 0, 1, 2}, 3},
	} {
		ticks := &loneTicks{from: from}
		for _, s := range test.seconds {
			at := from.Add(time.Duration(s) * time.Second)
			if err := ticks.start(context.Background(), cron.Tick{ScheduledAt: at}); err != nil {
				t.Fatal(err)
			}
		}
		got, err := ticks.samples(3)
		if (err != nil) != (test.want < 0) || err == nil && len(got) != test.want {
			t.Errorf("%s: %d samples and error %v, want %d", name, len(got), err, test.want)
		}
	}
}

func TestNextInstantIsAhead(t *testing.T) {
	for _, every := range []time.Duration{time.Second, 5 * time.Second, 10 * time.Second} {
		now := time.Now()
		at := nextOf(every)
		if ahead := at.Sub(now); ahead < time.Second || ahead > every+2*time.Second || at.UnixNano()%int64(every) != 0 {
			t.Errorf("every %s: %s ahead, at %s", every, ahead, at)
		}
	}
}
