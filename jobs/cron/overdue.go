package cron

import (
	"time"
)

// A run that goes on for this long after its timeout is reported.
const overdueAfter = 10 * time.Second

// reportOverdue logs runs that go on although their time is up: nothing but the end of the process ends them.
func (t *term) reportOverdue() {
	if time.Since(t.overdueChecked) < overdueAfter {
		return
	}
	t.overdueChecked = time.Now()
	for _, j := range t.jobs {
		j.reportOverdue()
	}
}

func (j *jobTerm) reportOverdue() {
	for _, r := range j.active {
		if r.cancel == nil || r.overdue {
			continue
		}
		if running := time.Since(r.began); running > j.Timeout+overdueAfter {
			r.overdue = true
			j.logger.Warn("a run goes on although its time is up", "scheduled_at", r.row.At, "for",
				running.Round(time.Second))
		}
	}
}
