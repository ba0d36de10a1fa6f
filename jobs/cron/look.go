package cron

import (
	"fmt"
	"slices"
	"time"
)

// look decides what is to be done for the jobs that have to be looked at, for a page of them at most.
func (t *term) look() {
	now, at := t.now(), time.Now()
	t.follow(now)
	late := missedAfter + at.Sub(t.lookedAt) // while nobody looked, because the database was slow or this process was frozen
	looked := 0
	for ; looked < cronPage && len(t.heap) > 0 && !t.heap[0].wake.After(now); looked++ {
		t.lookAt(t.heap[0], now, late)
	}
	if looked < cronPage {
		t.looked, t.lookedAt = now, at // or else there are more that were due then
		t.lived[len(t.lived)-1].to = now
	}
	t.reportOverdue()
}

// untilDue returns how long until a job has to be looked at, or the clock, or what somebody did to the jobs, or what was set aside.
func (t *term) untilDue() time.Duration {
	wait := min(clockCheck, t.untilAsking(), t.untilTakeUp())
	if len(t.heap) > 0 {
		wait = min(wait, t.heap[0].wake.Sub(t.now()))
	}
	return max(0, wait)
}

// lookAt decides what is to be done for one job.
func (t *term) lookAt(j *jobTerm, now time.Time, late time.Duration) {
	if now.Before(j.heldUntil) {
		j.wake = j.heldUntil
		t.heap.moved(j)
		return
	}
	for _, r := range slices.Clone(j.retrying) {
		if j.mayRetry(r) && !r.nextAt.After(now) {
			j.remove(&j.retrying, r)
			t.startAgain(j, r)
		}
	}
	t.lookAtSchedule(j, now, late)
	t.startQueued(j, now)
	j.wake = j.nextWake()
	t.heap.moved(j)
	t.show(j)
}

// lookAtSchedule decides on every tick that has come due since the latest look.
func (t *term) lookAtSchedule(j *jobTerm, now time.Time, late time.Duration) {
	limit := now.Add(-j.delay)
	if j.stopped() || j.next.After(limit) {
		return
	}
	latest, following := j.next, j.schedules.Next(j.next)
	if !following.After(limit) {
		latest = j.schedules.Latest(j.next, limit)
		following = j.schedules.Next(latest)
	}
	decision := j.decide(j.last, latest, now, late)
	if latest.After(j.next) || !decision.missed.IsZero() {
		t.logMissed(j, latest, decision)
	}
	j.last, j.next = latest, following
	for _, due := range decision.start {
		t.comesDue(j, due)
	}
	if !decision.missed.IsZero() && !t.cameBefore(j, decision.missed) {
		j.logger.Debug("tick missed", "scheduled_at", decision.missed, "reason", decision.because)
		t.insert(j, dueTick{decision.missed, true}, outcomeMissed, decision.because)
	}
}

func (t *term) logMissed(j *jobTerm, latest time.Time, decision tickDecision) {
	if left := j.countTicks(j.last, latest) - len(decision.start); left > 0 {
		j.logger.Info("ticks were missed", "not_started_at_least", left, "made_up_for", len(decision.start), "latest", latest)
	}
}

// comesDue starts a tick, or does what the overlap policy says.
func (t *term) comesDue(j *jobTerm, tick dueTick) {
	switch {
	case t.cameBefore(j, tick.at):
		j.logger.Debug("tick came due before the clock was set back", "scheduled_at", tick.at)
	case j.Missed == MissedAll && (tick.catchUp || j.catchesUp()):
		t.enqueue(j, tick, maxQueued+j.MaxCatchUp)
	case !j.busy() || j.Overlap == OverlapAllow:
		t.insert(j, tick, outcomeRunning, "")
	case j.Overlap == OverlapQueue:
		t.enqueue(j, tick, maxQueued)
	case j.Overlap == OverlapReplace:
		t.replace(j, tick.at)
		t.enqueue(j, tick, maxQueued)
	default:
		t.insert(j, tick, outcomeSkipped, errOverlap.Error())
	}
}

// enqueue has a tick wait for its turn, in its row too, unless as many as the limit do so already.
func (t *term) enqueue(j *jobTerm, tick dueTick, limit int) {
	if len(j.queue) >= limit {
		t.insert(j, tick, outcomeSkipped, fmt.Sprintf("%d runs were waiting already", len(j.queue)))
		return
	}
	t.insert(j, tick, outcomeQueued, "")
}

// insert makes the row of a tick, with this outcome.
func (t *term) insert(j *jobTerm, tick dueTick, outcome, reason string) {
	r := &run{job: j, at: tick.at, cause: causeSchedule, result: runResult{outcome: outcome, failure: reason}}
	if tick.catchUp {
		r.cause = causeCatchUp
	}
	t.open[r.key()] = r
	switch outcome {
	case outcomeRunning:
		r.attempt = 1
		j.active = append(j.active, r)
	case outcomeQueued:
		j.queue = append(j.queue, r)
	}
	t.toInsert = append(t.toInsert, r)
}

// replace ends every run of the job for a later one. Those under way are cancelled, and the later one begins when they have ended.
func (t *term) replace(j *jobTerm, by time.Time) {
	reason := &replacedError{by}
	for _, r := range j.active {
		if r.replaced != nil {
			continue
		}
		if r.replaced = reason; r.cancel != nil {
			r.cancel(reason)
		}
	}
	for _, r := range j.settling { // among those to be settled already
		r.result.outcome, r.result.failure = outcomeReplaced, reason.after(r.result.failure)
	}
	for _, r := range j.retrying {
		t.giveUp(r, outcomeReplaced, reason.Error())
	}
	for _, r := range j.queue {
		t.giveUp(r, outcomeSkipped, reason.Error())
	}
	j.settling, j.retrying, j.queue = nil, nil, nil
}

// giveUp closes a run that waits.
func (t *term) giveUp(r *run, outcome, reason string) {
	t.writeEnd(r, runResult{outcome: outcome, failure: reason})
}

// startAgain starts a run that has a row.
func (t *term) startAgain(j *jobTerm, r *run) {
	r.attempt++
	r.result = runResult{outcome: outcomeRunning}
	j.active = append(j.active, r)
	t.toStart = append(t.toStart, r)
}

// startQueued starts the next run that waits for its turn, if it has come.
func (t *term) startQueued(j *jobTerm, now time.Time) {
	for len(j.queue) > 0 {
		i := slices.IndexFunc(j.queue, j.mayStart)
		if i < 0 || !j.free() {
			return
		}
		r := j.queue[i]
		if r.result.outcome == outcomeQueued || r.nextAt.After(now) {
			return // its row is about to be made, and the look after that starts it; or it is locked
		}
		j.queue = slices.Delete(j.queue, i, i+1)
		if r.cause != causeManual && now.Sub(r.at.Add(j.delay)) > j.StartingDeadline {
			t.giveUp(r, outcomeSkipped, "waited for its turn beyond its starting deadline of "+j.StartingDeadline.String())
			continue
		}
		t.startAgain(j, r)
	}
}

// reportOverdue logs runs that go on although their time is up: nothing but the end of the process ends them.
func (t *term) reportOverdue() {
	if time.Since(t.checked) < overdueAfter {
		return
	}
	t.checked = time.Now()
	for _, j := range t.jobs {
		for _, r := range j.active {
			if r.cancel != nil && !r.overdue && time.Since(r.began) > j.Timeout+overdueAfter {
				r.overdue = true
				j.logger.Warn("a run goes on although its time is up", "scheduled_at", r.at, "for", time.Since(r.began).Round(time.Second))
			}
		}
	}
}

// busy says whether the job has a run, under way or waiting.
func (j *jobTerm) busy() bool { return len(j.active)+len(j.settling)+len(j.retrying)+len(j.queue) > 0 }

// free says whether the next run of the queue may start. Where runs may overlap, only what is made up for waits for its like.
func (j *jobTerm) free() bool {
	if j.Overlap == OverlapAllow {
		return !catchUpIn(j.active, j.settling, j.retrying)
	}
	return len(j.active)+len(j.settling)+len(j.retrying) == 0
}

// stopped says whether only what somebody has triggered is started.
func (j *jobTerm) stopped() bool { return j.paused || j.Disabled }

func (j *jobTerm) mayStart(r *run) bool { return r.cause == causeManual || !j.stopped() }

// mayRetry says whether a run that waits for a retry may start when that is due. There may be several, and a forced run beside them.
func (j *jobTerm) mayRetry(r *run) bool {
	return j.mayStart(r) && (j.Overlap == OverlapAllow || len(j.active) == 0)
}

// catchesUp says whether something is made up for: ticks that were missed, or runs that were cut off.
func (j *jobTerm) catchesUp() bool { return catchUpIn(j.active, j.settling, j.retrying, j.queue) }

func catchUpIn(runs ...[]*run) bool {
	return slices.ContainsFunc(slices.Concat(runs...), func(r *run) bool { return isCatchUp(r) || r.resumed })
}

func isCatchUp(r *run) bool { return r.cause == causeCatchUp }

// nextWake is when the job has to be looked at by itself.
func (j *jobTerm) nextWake() time.Time {
	wake := never
	if !j.stopped() {
		wake = j.next.Add(j.delay)
	}
	for _, r := range j.retrying {
		if j.mayRetry(r) && r.nextAt.Before(wake) {
			wake = r.nextAt
		}
	}
	for _, r := range j.queue {
		if !r.nextAt.IsZero() && r.result.outcome != outcomeQueued && j.mayStart(r) && j.free() && r.nextAt.Before(wake) {
			wake = r.nextAt
		}
	}
	return wake
}

func (j *jobTerm) remove(from *[]*run, r *run) {
	if i := slices.Index(*from, r); i >= 0 {
		*from = slices.Delete(*from, i, i+1)
	}
}
