package command

import (
	"bufio"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/schedule"
)

const (
	ticksShown = 5  // of each job
	lineWidth  = 80 // that the output keeps to
)

// writeTicks shows what each job does after an instant.
func writeTicks(w io.Writer, crons []cron.Job, after time.Time) error {
	out := bufio.NewWriter(w)
	for _, c := range crons {
		if err := writeJob(out, c, after); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return fmt.Errorf("write ticks: %w", err)
	}
	return nil
}

// writeJob leaves errors of the writer to its Flush.
func writeJob(out *bufio.Writer, c cron.Job, after time.Time) error {
	schedules, err := schedule.ParseAll(c.Schedules, c.Location)
	if err != nil {
		return fmt.Errorf("cron %q: %w", c.Name, err)
	}
	fmt.Fprintf(out, "\n%s\n", aboutJob(c))
	if c.Disabled {
		fmt.Fprintln(out, "  disabled: it runs only when it is triggered")
		return nil
	}
	for _, line := range nextTicks(schedules, after) {
		fmt.Fprintln(out, line)
	}
	return nil
}

// aboutJob is what a job's ticks follow from.
func aboutJob(c cron.Job) string {
	var parts []string
	for _, expression := range c.Schedules {
		parts = append(parts, fmt.Sprintf("%q", strings.Join(strings.Fields(expression), " ")))
	}
	parts = append(parts, c.Location.String())
	if c.Jitter > 0 {
		parts = append(parts, fmt.Sprintf("each start %s later (jitter %s)", brief(c.Delay()), brief(c.Jitter)))
	}
	var text strings.Builder
	column, _ := fmt.Fprintf(&text, "cron %q:", c.Name)
	for i, part := range parts {
		if i < len(parts)-1 {
			part += ","
		}
		if wide := utf8.RuneCountInString(part); column+1+wide > lineWidth {
			text.WriteString("\n    " + part)
			column = 4 + wide
		} else {
			text.WriteString(" " + part)
			column += 1 + wide
		}
	}
	return text.String()
}

// nextTicks has a line for each tick. A remark stands behind those to which daylight saving time does something.
func nextTicks(schedules schedule.Set, after time.Time) []string {
	var (
		ticks   []time.Time
		format  = "15:04"
		longest int // name of a zone
	)
	for at := schedules.Next(after); !at.IsZero() && len(ticks) < ticksShown; at = schedules.Next(at) {
		ticks = append(ticks, at)
		if at.Second() != 0 {
			format = "15:04:05"
		}
		longest = max(longest, len(at.Format("MST")))
	}
	lines := make([]string, len(ticks))
	for i, at := range ticks {
		shown := at.Format("Mon 2006-01-02 " + format)
		line := fmt.Sprintf("  %s %-*s  %s", shown, longest, at.Format("MST"), remark(schedules, at, format))
		lines[i] = strings.TrimRight(line, " ")
	}
	return lines
}

// remark says what daylight saving time does to a tick, if it does something.
func remark(schedules schedule.Set, at time.Time, format string) string {
	if named, moved := schedules.Moved(at); moved {
		// The date goes, if it is that of the tick.
		return "moved: the clocks skip " + strings.ReplaceAll(named, at.Format("2006-01-02 "), "")
	}
	if schedules.Repeated(at) {
		return fmt.Sprintf("once: the clocks show %s twice", at.Format(format))
	}
	return ""
}

// brief is a duration without the zeros at its end, in whole seconds if it has some.
func brief(d time.Duration) string {
	if d >= time.Second {
		d = d.Round(time.Second)
	} else {
		d = d.Round(time.Millisecond)
	}
	text := d.String()
	if strings.HasSuffix(text, "m0s") {
		text = strings.TrimSuffix(text, "0s")
	}
	if strings.HasSuffix(text, "h0m") {
		text = strings.TrimSuffix(text, "0m")
	}
	return text
}
