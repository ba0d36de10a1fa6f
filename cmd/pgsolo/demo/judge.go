package demo

import (
	"fmt"
	"slices"
	"time"
)

// judge prints the summary, and returns ErrBroken if the witness saw what must not happen. Nothing is under way any
// more.
func (d *demo) judge() error {
	s := d.snapshot()
	d.screen.end(s)
	missed := d.missedTicks(d.cutOff, time.Now())
	fmt.Fprintf(d.options.Out, `
Summary
  events      %d inserted, %d handled, %d lost; %d delivered again after a kill
  cron ticks  %d run, %d doubled, %d missed%s
  leaders     %d kills, %d overlaps
  takeovers   %s
`,
		s.inserted, s.inserted-s.missing, s.missing, s.counts.repeated,
		s.counts.ticks, s.counts.doubled, missed, cutOffNote(len(d.cutOff)),
		len(s.takeovers), s.counts.overlaps, summarize(s.takeovers))
	if s.missing+s.counts.doubled+missed+s.counts.overlaps > 0 {
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
	text := fmt.Sprintf("median %s, longest %s from the kill to the next leader",
		milliseconds(median(terms)), milliseconds(slices.Max(terms)))
	if len(handles) > 0 {
		text += fmt.Sprintf("\n              median %s, longest %s from the kill to its first event",
			milliseconds(median(handles)), milliseconds(slices.Max(handles)))
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
