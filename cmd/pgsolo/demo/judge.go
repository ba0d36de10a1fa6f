package demo

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// snapshot is what the screen shows.
type snapshot struct {
	leader     leader
	replicas   []int // pids; 0 while away
	inserted   int
	missing    int // of them, not handled yet
	lost       int // of these, inserted longer ago than any takeover takes
	missed     int // ticks, likewise
	witness    sight
	takeovers  []takeover
	leaderless bool
}

// lostAfter is how long after an event or a tick its absence counts: a lease, after which even a frozen leader is replaced.
const lostAfter = 5 * time.Second

func (d *demo) snapshot() snapshot {
	d.mu.Lock()
	s := snapshot{
		leader: d.leader, takeovers: slices.Clone(d.takeovers), leaderless: !d.killedAt.IsZero() || d.leader.term == 0,
	}
	inserted, cutOff := d.inserted, d.cutOff
	d.mu.Unlock()
	for _, m := range d.members {
		s.replicas = append(s.replicas, m.pid())
	}
	old := max(0, len(inserted)-int(lostAfter/insertEvery))
	s.inserted, s.missing, s.lost = len(inserted), d.witness.missing(inserted), d.witness.missing(inserted[:old])
	s.witness = d.witness.look()
	s.missed = d.witness.missedTicks(cutOff, time.Now().Add(-lostAfter))
	return s
}

// judge prints the summary, and returns ErrBroken if the witness saw what must not happen. Nothing is under way any more.
func (d *demo) judge() error {
	s := d.snapshot()
	d.screen.end(s)
	missed := d.witness.missedTicks(d.cutOff, time.Now())
	fmt.Fprintf(d.options.Out, `
Summary
  events      %d inserted, %d handled, %d lost; %d delivered again after a kill
  cron ticks  %d run, %d doubled, %d missed%s
  leaders     %d kills, %d overlaps
  takeovers   %s
`,
		s.inserted, s.inserted-s.missing, s.missing, s.witness.repeated,
		s.witness.ticks, s.witness.doubled, missed, cutOffNote(len(d.cutOff)),
		len(s.takeovers), s.witness.overlaps, summarize(s.takeovers))
	if s.missing+s.witness.doubled+missed+s.witness.overlaps > 0 {
		return ErrBroken
	}
	return nil
}

func cutOffNote(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf("; %d cut off by a kill", n)
}

// summarize gives the distribution of the takeovers.
func summarize(takeovers []takeover) string {
	if len(takeovers) == 0 {
		return "none"
	}
	var terms, handles []time.Duration
	for _, t := range takeovers {
		terms = append(terms, t.untilTerm)
		if t.untilHandle > 0 {
			handles = append(handles, t.untilHandle)
		}
	}
	text := fmt.Sprintf("median %s, longest %s from the kill to the next leader", milliseconds(median(terms)), milliseconds(slices.Max(terms)))
	if len(handles) > 0 {
		text += fmt.Sprintf("\n              median %s, longest %s from the kill to its first event", milliseconds(median(handles)), milliseconds(slices.Max(handles)))
	}
	return text
}

func median(values []time.Duration) time.Duration {
	sorted := slices.Sorted(slices.Values(values))
	middle := len(sorted) / 2
	if len(sorted)%2 == 0 {
		return (sorted[middle-1] + sorted[middle]) / 2
	}
	return sorted[middle]
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f ms", float64(d.Microseconds())/1000)
}

// list shows the latest takeovers.
func list(takeovers []takeover, n int) string {
	var shown []string
	for _, t := range takeovers[max(0, len(takeovers)-n):] {
		shown = append(shown, milliseconds(t.untilTerm))
	}
	return strings.Join(shown, "  ")
}
