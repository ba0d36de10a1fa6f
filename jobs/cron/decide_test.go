package cron

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/pgsolo/pgsolo/jobs/cron/internal/rows"
)

func TestDecide(t *testing.T) {
	for _, test := range []struct {
		name string
		run  contender
		want []decision // by skip, queue, replace and allow
	}{
		{"alone", contender{}, []decision{starts, starts, starts, starts}},
		{"beside one under way", contender{running: 1}, []decision{skips, waits, replaces, starts}},
		{"beside one that waits", contender{queued: 1}, []decision{skips, waits, replaces, starts}},
		{"forced", contender{forced: true, running: 1, queued: 1}, []decision{starts, starts, starts, starts}},
		{"one after the other", contender{serial: true}, []decision{waits, waits, waits, waits}},
		{"one after the other, beside one", contender{serial: true, running: 1},
			[]decision{waits, waits, waits, waits}},
		{"its turn", contender{accepted: true}, []decision{starts, starts, starts, starts}},
		{"not its turn", contender{accepted: true, running: 1}, []decision{waits, waits, waits, starts}},
		{"not its turn to make up", contender{accepted: true, serial: true, running: 1},
			[]decision{waits, waits, waits, waits}},
	} {
		var got []decision
		for _, policy := range Overlaps()[:4] {
			got = append(got, policy.decide(test.run))
		}
		if !slices.Equal(got, test.want) {
			t.Errorf("%s: got %v, want %v", test.name, got, test.want)
		}
	}
}

// outcomes are what is to be written for the runs of a job, by minute.
func outcomes(list []*run) (all []string) {
	for _, r := range list {
		all = append(all, fmt.Sprint(r.row.At.Sub(noon).Minutes(), " ", r.row.Outcome))
	}
	return all
}

// Ticks that come due one after the other, while the first goes on.
func TestDueBesideARun(t *testing.T) {
	at := func(m int) dueTick { return dueTick{at: noon.Add(time.Duration(m) * time.Minute)} }
	for _, test := range []struct {
		overlap  Overlap
		missed   Missed
		catchUp  bool // the first of them is made up for
		inserted []string
		settled  []string
	}{
		{OverlapSkip, MissedOnce, false, []string{"1 running", "2 skipped", "3 skipped"}, nil},
		{OverlapQueue, MissedOnce, false, []string{"1 running", "2 queued", "3 queued"}, nil},
		{OverlapReplace, MissedOnce, false, []string{"1 running", "2 skipped", "3 queued"}, []string{"2 skipped"}},
		{OverlapAllow, MissedOnce, false, []string{"1 running", "2 running", "3 running"}, nil},
		{OverlapSkip, MissedOnce, true, []string{"1 running", "2 skipped", "3 skipped"}, nil},
		{OverlapSkip, MissedAll, true, []string{"1 queued", "2 queued", "3 queued"}, nil},
		{OverlapAllow, MissedAll, true, []string{"1 queued", "2 queued", "3 queued"}, nil},
		{OverlapSkip, MissedAll, false, []string{"1 running", "2 skipped", "3 skipped"}, nil},
	} {
		t.Run(fmt.Sprint(test.overlap, test.missed, test.catchUp), func(t *testing.T) {
			j := jobOf(t, Job{Overlap: test.overlap, Missed: test.missed})
			first := at(1)
			first.catchUp = test.catchUp
			for _, tick := range []dueTick{first, at(2), at(3)} {
				j.due(tick)
			}
			if diff := cmp.Diff(test.inserted, outcomes(j.outbox.toInsert)); diff != "" {
				t.Errorf("rows -want +got\n%s", diff)
			}
			if diff := cmp.Diff(test.settled, outcomes(j.outbox.toSettle), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("outcomes -want +got\n%s", diff)
			}
		})
	}
}

// Manual runs beside one that is under way. Only a forced one starts.
func TestTriggerBesideARun(t *testing.T) {
	for overlap, want := range map[Overlap][]string{
		OverlapSkip: {"2 skipped"}, OverlapQueue: nil, OverlapReplace: nil, OverlapAllow: nil,
	} {
		t.Run(string(overlap), func(t *testing.T) {
			j := jobOf(t, Job{Overlap: overlap})
			j.due(dueTick{at: noon.Add(time.Minute)})
			j.trigger(rows.Triggered{Job: "job", At: noon.Add(2 * time.Minute)})
			if diff := cmp.Diff(want, outcomes(j.outbox.toSettle), cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("outcomes -want +got\n%s", diff)
			}
			waiting := 0
			if overlap == OverlapQueue || overlap == OverlapReplace {
				waiting = 1
			}
			if len(j.queue) != waiting || (j.active[0].replaced != nil) != (overlap == OverlapReplace) {
				t.Errorf("%d wait, want %d; the first one is replaced by %v", len(j.queue), waiting,
					j.active[0].replaced)
			}
			before := len(j.outbox.toStart)
			j.trigger(rows.Triggered{Job: "job", At: noon.Add(3 * time.Minute), Forced: true})
			if len(j.outbox.toStart) != before+1 {
				t.Error("a forced run does not start")
			}
		})
	}
}

// What earlier leaders have left in the queue stays there, except that the latest run replaces the others.
func TestTakeOverQueue(t *testing.T) {
	for _, overlap := range Overlaps() {
		for _, cause := range []string{rows.Schedule, rows.CatchUp} {
			j := jobOf(t, Job{Overlap: overlap})
			for m := 1; m <= 3; m++ {
				at := noon.Add(time.Duration(m) * time.Minute)
				j.takeOver(rows.Open{Job: "job", At: at, Outcome: rows.Queued, Cause: cause}, noon)
			}
			j.takeOverQueue()
			replaced := overlap == OverlapReplace && cause != rows.CatchUp
			if replaced && (len(j.queue) != 1 || len(j.outbox.toSettle) != 2 ||
				!j.queue[0].row.At.Equal(noon.Add(3*time.Minute))) {
				t.Errorf("%s: %v wait and %v are settled, want the latest one alone to wait",
					overlap, outcomes(j.queue), outcomes(j.outbox.toSettle))
			}
			if !replaced && (len(j.queue) != 3 || len(j.outbox.toSettle) != 0) {
				t.Errorf("%s %s: %v wait and %v are settled, want all to wait",
					overlap, cause, outcomes(j.queue), outcomes(j.outbox.toSettle))
			}
		}
	}
}
