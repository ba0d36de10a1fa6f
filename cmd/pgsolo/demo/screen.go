package demo

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// redrawEvery is how often a terminal is redrawn, and reportEvery how often a line is printed where there is none.
const (
	redrawEvery = 200 * time.Millisecond
	reportEvery = 5 * time.Second
)

// screen shows snapshots: redrawn in place on a terminal, else as lines. One goroutine at a time uses it.
type screen struct {
	out      io.Writer
	live     bool
	began    time.Time
	drawn    time.Time
	reported time.Time // the last line of figures
	lines    int       // on the terminal, from the last drawing
	shown    int       // takeovers that have a line
}

func newScreen(out io.Writer, live bool) *screen {
	return &screen{out: out, live: live, began: time.Now()}
}

// due says whether it is time for the next picture.
func (s *screen) due() bool { return time.Since(s.drawn) >= redrawEvery }

func (s *screen) draw(now snapshot) {
	s.drawn = time.Now()
	if s.live {
		s.redraw(now)
		return
	}
	for _, t := range now.takeovers[s.shown:] {
		s.shown++
		fmt.Fprintf(s.out, "%6.1fs  leader killed; term %d leads after %s\n",
			time.Since(s.began).Seconds(), t.term, milliseconds(t.untilTerm))
	}
	if now.leader.term > 0 && time.Since(s.reported) >= reportEvery {
		s.reported = time.Now()
		fmt.Fprintf(s.out, "%6.1fs  term %d, leader pid %d; events %d inserted, %d handled, %d lost;"+
			" cron ticks %d run, %d doubled, %d missed; %d overlaps\n",
			time.Since(s.began).Seconds(), now.leader.term, now.leader.pid,
			now.inserted, now.inserted-now.missing, now.lost,
			now.counts.ticks, now.counts.doubled, now.missed, now.counts.overlaps)
	}
}

// end leaves the last picture as it is.
func (s *screen) end(now snapshot) {
	if s.live {
		s.redraw(now)
	}
}

const (
	bold  = "\x1b[1m"
	green = "\x1b[32m"
	dim   = "\x1b[2m"
	plain = "\x1b[0m"
)

func (s *screen) redraw(now snapshot) {
	var b strings.Builder
	if s.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", s.lines) // up to the first line of the last picture
	}
	picture := s.picture(now)
	s.lines = len(picture)
	for _, line := range picture {
		b.WriteString(line + "\x1b[K\n")
	}
	_, _ = io.WriteString(s.out, b.String())
}

func (s *screen) picture(now snapshot) []string {
	lines := []string{
		"",
		fmt.Sprintf("%spgsolo demo%s  %d replicas, kill -9 of the leader every %s, Ctrl-C ends it   %s%s%s",
			bold, plain, len(now.replicas), killEvery, dim, time.Since(s.began).Round(time.Second), plain),
		"",
	}
	for i, pid := range now.replicas {
		lines = append(lines, fmt.Sprintf("  replica %d   %s", i+1, role(pid, now)))
	}
	return append(lines,
		"",
		fmt.Sprintf("  events      %d inserted   %d handled   %d lost",
			now.inserted, now.inserted-now.missing, now.lost),
		fmt.Sprintf("  cron ticks  %d run   %d doubled   %d missed", now.counts.ticks, now.counts.doubled, now.missed),
		fmt.Sprintf("  leaders     term %d   %d overlaps", now.leader.term, now.counts.overlaps),
		fmt.Sprintf("  takeovers   %s", list(now.takeovers, 6)),
	)
}

func role(pid int, now snapshot) string {
	switch {
	case pid == 0:
		return dim + "killed, starts again" + plain
	case pid == now.leader.pid && !now.leaderless:
		since := time.Since(now.leader.since).Round(100 * time.Millisecond)
		return fmt.Sprintf("pid %-8d %sleads%s    term %d, for %s", pid, green, plain, now.leader.term, since)
	}
	return fmt.Sprintf("pid %-8d stands by", pid)
}

// list shows the latest takeovers.
func list(takeovers []takeover, n int) string {
	var shown []string
	for _, t := range takeovers[max(0, len(takeovers)-n):] {
		shown = append(shown, milliseconds(t.untilTerm))
	}
	return strings.Join(shown, "  ")
}
