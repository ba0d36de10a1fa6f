package web

import (
	"time"

	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/listener"
)

// A new metric is a line in one of these tables, and a word in the README.

// candidacy is what a replica keeps of one election, and of its log, at the time of a scrape.
type candidacy struct {
	status election.Status
	stats  election.Stats
	log    eventlog.LogStats

	fingerprint string // of this replica's configuration
}

func (c candidacy) leads() bool { return c.status.Role == election.Leader }

func byElection(c candidacy) []string { return []string{c.status.Election} }

// The first metric is named as client-go names its own, so that dashboards and alerts for leader election fit.
var electionMetrics = newTable([]string{"name"}, byElection, []metric[candidacy]{
	{"leader_election_master_status", "1 if this replica leads the election, else 0.",
		gauge, "", func(c candidacy) samples { return flag(c.leads()) }},
	{"pgsolo_election_term", "Term of the leader that this replica knows.",
		gauge, "", func(c candidacy) samples { return number(c.status.Term.Number) }},
	{"pgsolo_election_fingerprint_info", "Always 1: the fingerprint of this replica's configuration.",
		gauge, "fingerprint", func(c candidacy) samples { return named(c.fingerprint) }},
	{"pgsolo_election_leader_fingerprint_info", "Always 1: the fingerprint of the leader's configuration.",
		gauge, "fingerprint", func(c candidacy) samples { return named(c.status.Fingerprint) }},
	{"pgsolo_database_answer_age_seconds", "Time since the database last answered the election session.",
		gauge, "", func(c candidacy) samples { return age(c.status.SeenAt) }},
	{"pgsolo_election_ping_round_trip_seconds", "Round trip of the leader's latest ping.",
		gauge, "", func(c candidacy) samples { return seconds(c.stats.PingRoundTrip).when(c.leads()) }},
	{"pgsolo_clock_ahead_seconds", "By how much the leader's clock is ahead of the database's; negative: behind.",
		gauge, "", func(c candidacy) samples { return seconds(c.status.ClockAhead).when(c.leads()) }},
	{"pgsolo_election_takeovers_total", "Terms begun by this replica, by how the one before ended.",
		counter, "previous", takeoverCounts},
	{"pgsolo_election_takeover_seconds_total",
		"Time from the last sign of life of the leader before to the new term.", counter, "previous", takeoverTimes},
	{"pgsolo_election_lost_total", "Leaderships of this replica that were lost, by cause.",
		counter, "cause", func(c candidacy) samples { return numbers(c.stats.Lost) }},
	{"pgsolo_log_blocked_seconds", "How long a transaction that has emitted has kept ids open that others did not use.",
		gauge, "by", func(c candidacy) samples {
			return samples{{c.log.BlockedBy, c.log.BlockedFor.Seconds(), jobs.Histogram{}}}.when(c.log.BlockedBy != "")
		}},
	{"pgsolo_log_appended_total", "Ids that the event log has given out, rolled back or not.",
		counter, "", func(c candidacy) samples { return number(c.log.Appended).when(c.log.Appended > 0) }}, // leader's
})

// probed says that a probe was answered: before that there is neither a round trip nor a usage.
func probed(l listener.Stats) bool { return l.ProbeRoundTrip > 0 }

func byNothing(listener.Stats) []string { return nil }

var listenerMetrics = newTable(nil, byNothing, []metric[listener.Stats]{
	{"pgsolo_listener_connected", "1 while the LISTEN session is up.",
		gauge, "", func(l listener.Stats) samples { return flag(l.Connected) }},
	{"pgsolo_listener_channels", "Channels with a subscription.",
		gauge, "", func(l listener.Stats) samples { return number(l.Channels) }},
	{"pgsolo_listener_subscriptions", "Open subscriptions.",
		gauge, "", func(l listener.Stats) samples { return number(l.Subscriptions) }},
	{"pgsolo_listener_received_total", "Notifications received, without probes.",
		counter, "", func(l listener.Stats) samples { return number(l.Received) }},
	{"pgsolo_listener_dropped_total",
		"Messages that a full buffer lost, counted for each subscription.",
		counter, "", func(l listener.Stats) samples { return number(l.Dropped) }},
	{"pgsolo_listener_reconnects_total", "LISTEN sessions after the first.",
		counter, "", func(l listener.Stats) samples { return number(l.Reconnects) }},
	{"pgsolo_listener_probe_round_trip_seconds",
		"Time of the latest probe, from its NOTIFY until it came back.",
		gauge, "", func(l listener.Stats) samples { return seconds(l.ProbeRoundTrip).when(probed(l)) }},
	{"pgsolo_listener_queue_usage_ratio",
		"How full the server's notification queue was at the latest probe, from 0 to 1.",
		gauge, "", func(l listener.Stats) samples { return number(l.QueueUsage).when(probed(l)) }},
})

func takeoverCounts(c candidacy) (all samples) {
	for previous, t := range c.stats.Takeovers {
		all = append(all, sample{label: previous, value: float64(t.Count)})
	}
	return all
}

func takeoverTimes(c candidacy) (all samples) {
	for previous, t := range c.stats.Takeovers {
		all = append(all, sample{label: previous, value: t.Total.Seconds()})
	}
	return all
}

type handler = eventlog.HandlerStats

func byHandler(h handler) []string { return []string{h.Name} }

var handlerMetrics = newTable([]string{"handler"}, byHandler, []metric[handler]{
	{"pgsolo_handler_handled_total", "Events handled.",
		counter, "", func(h handler) samples { return number(h.Handled) }},
	{"pgsolo_handler_failed_total", "Attempts that failed.",
		counter, "", func(h handler) samples { return number(h.Failed) }},
	{"pgsolo_handler_retried_total", "Attempts that were not the first at their event.",
		counter, "", func(h handler) samples { return number(h.Retried) }},
	{"pgsolo_handler_dead_total", "Events that became dead letters.",
		counter, "", func(h handler) samples { return number(h.Dead) }},
	{"pgsolo_handler_filtered_total", "Events that the handler's condition (when) did not want.",
		counter, "", func(h handler) samples { return number(h.Filtered) }},
	{"pgsolo_handler_in_flight", "Attempts under way.",
		gauge, "", func(h handler) samples { return number(h.InFlight) }},
	{"pgsolo_handler_lag_events",
		"Events that the handler has not seen, and those that wait in memory or are in flight.",
		gauge, "", func(h handler) samples { return number(h.Lag) }},
	{"pgsolo_handler_oldest_age_seconds",
		"Age of the oldest event that the handler is not done with, but for dead letters.",
		gauge, "", func(h handler) samples { return seconds(h.OldestAge) }},
	{"pgsolo_handler_duration_seconds", "Duration of attempts.",
		histogram, "", func(h handler) samples { return buckets(h.Durations) }},
	{"pgsolo_handler_batch_events", "Events per committed transaction of a transactional handler.",
		histogram, "", func(h handler) samples { return buckets(h.Batches).when(h.Batches.Count > 0) }},
	{"pgsolo_handler_breaker_open", "1 while the handler is paused by its breaker.",
		gauge, "", func(h handler) samples { return flag(h.Paused) }},
	{"pgsolo_handler_breaker_pauses_total", "Pauses by the handler's breaker.",
		counter, "", func(h handler) samples { return number(h.Pauses) }},
	{"pgsolo_handler_held", "1 while the handler waits for another election that has one of its name.",
		gauge, "by", func(h handler) samples { return named(h.HeldBy) }},
})

type cronJob = cron.Stats

func byJob(j cronJob) []string { return []string{j.Name} }

var cronMetrics = newTable([]string{"job"}, byJob, []metric[cronJob]{
	{"pgsolo_cron_ticks_total", "Ticks and manual runs of a cron job by outcome.",
		counter, "outcome", tickOutcomes},
	{"pgsolo_cron_started_total", "Attempts at ticks and manual runs.",
		counter, "", func(j cronJob) samples { return number(j.Started) }},
	{"pgsolo_cron_retried_total", "Attempts that were not the first at their tick.",
		counter, "", func(j cronJob) samples { return number(j.Retried) }},
	{"pgsolo_cron_lateness_seconds",
		"Time from when a tick was due until its start, without those made up for.",
		histogram, "", func(j cronJob) samples { return buckets(j.Lateness) }},
	{"pgsolo_cron_running", "Attempts under way.",
		gauge, "", func(j cronJob) samples { return number(j.Running) }},
	{"pgsolo_cron_waiting", "Runs that wait for their turn or for a retry.",
		gauge, "", func(j cronJob) samples { return number(j.Waiting) }},
	{"pgsolo_cron_paused", "1 while the job is paused.",
		gauge, "", func(j cronJob) samples { return flag(j.Paused) }},
	{"pgsolo_cron_last_success_timestamp_seconds", "When the last successful run ended.",
		gauge, "", func(j cronJob) samples { return timestamp(j.LastSuccess) }},
	{"pgsolo_cron_held", "1 while the job waits for another election that has one of its name.",
		gauge, "by", func(j cronJob) samples { return named(j.HeldBy) }},
	{"pgsolo_cron_next_tick_timestamp_seconds", "When the next tick starts.",
		gauge, "", func(j cronJob) samples { return timestamp(j.Next) }},
})

func tickOutcomes(j cronJob) samples {
	return numbers(map[string]int64{
		"ok": j.Succeeded, "failed": j.Failed, "skipped": j.Skipped, "missed": j.Missed, "replaced": j.Replaced,
		"interrupted": j.Interrupted,
	})
}

// named is 1 with a label, such as the election that holds something; nothing without one.
func named(label string) samples { return samples{{label: label, value: 1}}.when(label != "") }

// undeclared is what an election's leader has found held back.
type undeclared struct {
	election string
	jobs.HeldBack
}

func byName(u undeclared) []string { return []string{u.election, u.Kind, u.Name, u.Topic} }

var undeclaredMetrics = newTable([]string{"election", "kind", "undeclared", "topic"}, byName, []metric[undeclared]{
	{"pgsolo_undeclared_rows",
		"Rows of the log that are held back for what no leader declares any more, of the first 100,000.",
		gauge, "", func(u undeclared) samples { return number(u.Rows) }},
	{"pgsolo_undeclared_bytes", "Bytes of these rows.",
		gauge, "", func(u undeclared) samples { return number(u.Bytes) }},
})

func byBuild(b Build) []string { return []string{b.Version, b.Revision, b.Go} }

var buildMetrics = newTable([]string{"version", "revision", "go"}, byBuild, []metric[Build]{
	{"pgsolo_build_info", "Always 1.", gauge, "", func(Build) samples { return number(1) }},
})

// age is the time since t; nothing if there is no t.
func age(t time.Time) samples { return seconds(time.Since(t)).when(!t.IsZero()) }

// timestamp is t in seconds; nothing if there is no t.
func timestamp(t time.Time) samples { return number(t.Unix()).when(!t.IsZero()) }
