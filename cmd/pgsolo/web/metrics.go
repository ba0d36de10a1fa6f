package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pgsolo/pgsolo/election"
	"github.com/pgsolo/pgsolo/jobs"
	"github.com/pgsolo/pgsolo/jobs/cron"
	"github.com/pgsolo/pgsolo/jobs/eventlog"
	"github.com/pgsolo/pgsolo/listener"
)

// collector reads the counters that the packages keep when it is scraped, so that the packages know nothing of Prometheus.
type collector struct{ options Options }

func newRegistry(options Options) *prometheus.Registry {
	registry := prometheus.NewRegistry()
	registry.MustRegister(
		collectors.NewGoCollector(),
		collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		&collector{options},
	)
	return registry
}

func describe(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, labels, nil)
}

// The first is named as client-go names its own, so that dashboards and alerts for leader election fit.
var (
	masterStatus  = describe("leader_election_master_status", "1 if this replica leads the election, else 0.", "name")
	term          = describe("pgsolo_election_term", "Term of the leader that this replica knows.", "name")
	answerAge     = describe("pgsolo_database_answer_age_seconds", "Time since the database last answered the election session.", "name")
	roundTrip     = describe("pgsolo_election_ping_round_trip_seconds", "Round trip of the leader's latest ping.", "name")
	takeovers     = describe("pgsolo_election_takeovers_total", "Terms begun by this replica, by how the one before ended.", "name", "previous")
	takeoverTime  = describe("pgsolo_election_takeover_seconds_total", "Time from the last sign of life of the leader before to the new term.", "name", "previous")
	lost          = describe("pgsolo_election_lost_total", "Leaderships of this replica that were lost, by cause.", "name", "cause")
	appended      = describe("pgsolo_log_appended_total", "Ids that the event log has given out, rolled back or not.", "name")
	handled       = describe("pgsolo_handler_handled_total", "Events handled.", "handler")
	failed        = describe("pgsolo_handler_failed_total", "Attempts that failed.", "handler")
	retried       = describe("pgsolo_handler_retried_total", "Attempts that were not the first at their event.", "handler")
	dead          = describe("pgsolo_handler_dead_total", "Events that became dead letters.", "handler")
	filtered      = describe("pgsolo_handler_filtered_total", "Events that the handler's condition (when) did not want.", "handler")
	inFlight      = describe("pgsolo_handler_in_flight", "Attempts under way.", "handler")
	lag           = describe("pgsolo_handler_lag_events", "Ids of the log that the handler has not seen, and what waits in memory or is in flight.", "handler")
	oldest        = describe("pgsolo_handler_oldest_age_seconds", "Age of the oldest event that the handler is not done with, but for dead letters.", "handler")
	duration      = describe("pgsolo_handler_duration_seconds", "Duration of attempts.", "handler")
	batchSize     = describe("pgsolo_handler_batch_events", "Events per committed transaction of a transactional handler.", "handler")
	breakerOpen   = describe("pgsolo_handler_breaker_open", "1 while the handler is paused by its breaker.", "handler")
	breakerPauses = describe("pgsolo_handler_breaker_pauses_total", "Pauses by the handler's breaker.", "handler")
	cronTicks     = describe("pgsolo_cron_ticks_total", "Ticks and manual runs of a cron job by outcome.", "job", "outcome")
	cronStarted   = describe("pgsolo_cron_started_total", "Attempts at ticks and manual runs.", "job")
	cronRetried   = describe("pgsolo_cron_retried_total", "Attempts that were not the first at their tick.", "job")
	cronLateness  = describe("pgsolo_cron_lateness_seconds", "Time from when a tick was due until its start, without those made up for.", "job")
	cronRunning   = describe("pgsolo_cron_running", "Attempts under way.", "job")
	cronWaiting   = describe("pgsolo_cron_waiting", "Runs that wait for their turn or for a retry.", "job")
	cronPaused    = describe("pgsolo_cron_paused", "1 while the job is paused.", "job")
	cronSuccess   = describe("pgsolo_cron_last_success_timestamp_seconds", "When the last successful run ended.", "job")
	cronNext      = describe("pgsolo_cron_next_tick_timestamp_seconds", "When the next tick starts.", "job")
	connected     = describe("pgsolo_listener_connected", "1 while the LISTEN session is up.", "name")
	channels      = describe("pgsolo_listener_channels", "Channels with a subscription.", "name")
	subscriptions = describe("pgsolo_listener_subscriptions", "Open subscriptions.", "name")
	received      = describe("pgsolo_listener_received_total", "Notifications received, without probes.", "name")
	dropped       = describe("pgsolo_listener_dropped_total", "Messages that a full buffer lost, counted for each subscription.", "name")
	reconnects    = describe("pgsolo_listener_reconnects_total", "LISTEN sessions after the first.", "name")
	probeTrip     = describe("pgsolo_listener_probe_round_trip_seconds", "Time of the latest probe, from its NOTIFY until it came back.", "name")
	queueUsage    = describe("pgsolo_listener_queue_usage_ratio", "How full the server's notification queue was at the latest probe, from 0 to 1.", "name")
	buildInfo     = describe("pgsolo_build_info", "Always 1.", "version", "revision", "go")
)

// Describe sends nothing: which labels there are depends on the configuration.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(to chan<- prometheus.Metric) {
	send := func(desc *prometheus.Desc, kind prometheus.ValueType, value float64, labels ...string) {
		to <- prometheus.MustNewConstMetric(desc, kind, value, labels...)
	}
	gauge := func(desc *prometheus.Desc, value float64, labels ...string) {
		send(desc, prometheus.GaugeValue, value, labels...)
	}
	counter := func(desc *prometheus.Desc, value float64, labels ...string) {
		send(desc, prometheus.CounterValue, value, labels...)
	}
	histogram := func(desc *prometheus.Desc, h jobs.Histogram, label string) {
		to <- prometheus.MustNewConstHistogram(desc, h.Count, h.Sum, h.Buckets, label)
	}

	for _, e := range c.options.Elections {
		c.collectElection(e, gauge, counter)
		stats, name := e.Jobs(), e.Status().Election
		if stats.Log.Appended > 0 { // a standby does not know
			counter(appended, float64(stats.Log.Appended), name)
		}
		collectHandlers(stats.Handlers, gauge, counter, histogram)
		collectCrons(e.Crons(), gauge, counter, histogram)
		collectListener(e.Listener(), name, gauge, counter)
	}
	build := c.options.Build
	gauge(buildInfo, 1, build.Version, build.Revision, build.Go)
}

// set sends one value.
type set func(desc *prometheus.Desc, value float64, labels ...string)

func (c *collector) collectElection(e Election, gauge, counter set) {
	status, stats := e.Status(), e.Stats()
	name := status.Election
	gauge(masterStatus, oneIf(status.Role == election.Leader), name)
	gauge(term, float64(status.Term.Number), name)
	if !status.SeenAt.IsZero() {
		gauge(answerAge, time.Since(status.SeenAt).Seconds(), name)
	}
	if status.Role == election.Leader {
		gauge(roundTrip, stats.PingRoundTrip.Seconds(), name)
	}
	for previous, t := range stats.Takeovers {
		counter(takeovers, float64(t.Count), name, previous)
		counter(takeoverTime, t.Total.Seconds(), name, previous)
	}
	for cause, n := range stats.Lost {
		counter(lost, float64(n), name, cause)
	}
}

func collectHandlers(handlers []eventlog.HandlerStats, gauge, counter set, histogram func(*prometheus.Desc, jobs.Histogram, string)) {
	for _, h := range handlers {
		counter(handled, float64(h.Handled), h.Name)
		counter(failed, float64(h.Failed), h.Name)
		counter(retried, float64(h.Retried), h.Name)
		counter(dead, float64(h.Dead), h.Name)
		counter(filtered, float64(h.Filtered), h.Name)
		gauge(inFlight, float64(h.InFlight), h.Name)
		gauge(lag, float64(h.Lag), h.Name)
		gauge(oldest, h.OldestAge.Seconds(), h.Name)
		histogram(duration, h.Durations, h.Name)
		if h.Batches.Count > 0 {
			histogram(batchSize, h.Batches, h.Name)
		}
		gauge(breakerOpen, oneIf(h.Paused), h.Name)
		counter(breakerPauses, float64(h.Pauses), h.Name)
	}
}

func collectCrons(crons []cron.Stats, gauge, counter set, histogram func(*prometheus.Desc, jobs.Histogram, string)) {
	for _, j := range crons {
		counter(cronTicks, float64(j.Succeeded), j.Name, "ok")
		counter(cronTicks, float64(j.Failed), j.Name, "failed")
		counter(cronTicks, float64(j.Skipped), j.Name, "skipped")
		counter(cronTicks, float64(j.Missed), j.Name, "missed")
		counter(cronTicks, float64(j.Replaced), j.Name, "replaced")
		counter(cronTicks, float64(j.Interrupted), j.Name, "interrupted")
		counter(cronStarted, float64(j.Started), j.Name)
		counter(cronRetried, float64(j.Retried), j.Name)
		histogram(cronLateness, j.Lateness, j.Name)
		gauge(cronRunning, float64(j.Running), j.Name)
		gauge(cronWaiting, float64(j.Waiting), j.Name)
		gauge(cronPaused, oneIf(j.Paused), j.Name)
		if !j.LastSuccess.IsZero() {
			gauge(cronSuccess, float64(j.LastSuccess.Unix()), j.Name)
		}
		if !j.Next.IsZero() {
			gauge(cronNext, float64(j.Next.Unix()), j.Name)
		}
	}
}

func collectListener(stats listener.Stats, name string, gauge, counter set) {
	gauge(connected, oneIf(stats.Connected), name)
	gauge(channels, float64(stats.Channels), name)
	gauge(subscriptions, float64(stats.Subscriptions), name)
	counter(received, float64(stats.Received), name)
	counter(dropped, float64(stats.Dropped), name)
	counter(reconnects, float64(stats.Reconnects), name)
	if stats.ProbeRoundTrip > 0 { // there was a probe
		gauge(probeTrip, stats.ProbeRoundTrip.Seconds(), name)
		gauge(queueUsage, stats.QueueUsage, name)
	}
}

func oneIf(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}
