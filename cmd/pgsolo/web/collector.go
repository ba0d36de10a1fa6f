package web

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/pgsolo/pgsolo/jobs"
)

// kind is the type of a metric.
type kind int

const (
	counter kind = iota
	gauge
	histogram
)

// metric is one line of a table.
type metric[S any] struct {
	name, help string
	kind       kind
	label      string          // beside those of the table; empty: none
	value      func(S) samples // none: the metric is left out
}

// samples are the values of a metric: one, or one for each value of its own label.
type samples []sample

type sample struct {
	label     string
	value     float64
	histogram jobs.Histogram // for that kind
}

// when leaves the metric out unless the condition holds.
func (s samples) when(condition bool) samples {
	if condition {
		return s
	}
	return nil
}

func number[N int | int64 | uint64 | float64](n N) samples { return samples{{value: float64(n)}} }

func numbers[N int | int64 | uint64](byLabel map[string]N) (all samples) {
	for label, n := range byLabel {
		all = append(all, sample{label: label, value: float64(n)})
	}
	return all
}

func seconds(d time.Duration) samples { return samples{{value: d.Seconds()}} }

func flag(yes bool) samples {
	if yes {
		return number(1)
	}
	return number(0)
}

func buckets(h jobs.Histogram) samples { return samples{{histogram: h}} }

// table is the metrics of one kind of source, such as a handler.
type table[S any] struct {
	labels  func(S) []string // their values
	metrics []metric[S]
	descs   []*prometheus.Desc // of each metric
}

func newTable[S any](labels []string, values func(S) []string, metrics []metric[S]) *table[S] {
	t := &table[S]{labels: values, metrics: metrics}
	for _, m := range metrics {
		all := labels
		if m.label != "" {
			all = append(labels[:len(labels):len(labels)], m.label)
		}
		t.descs = append(t.descs, prometheus.NewDesc(m.name, m.help, all, nil))
	}
	return t
}

// collect sends the samples of one source.
func (t *table[S]) collect(to chan<- prometheus.Metric, source S) {
	labels := t.labels(source)
	for i, m := range t.metrics {
		for _, sample := range m.value(source) {
			all := labels
			if m.label != "" {
				all = append(labels[:len(labels):len(labels)], sample.label)
			}
			switch m.kind {
			case counter:
				to <- prometheus.MustNewConstMetric(t.descs[i], prometheus.CounterValue, sample.value, all...)
			case gauge:
				to <- prometheus.MustNewConstMetric(t.descs[i], prometheus.GaugeValue, sample.value, all...)
			case histogram:
				h := sample.histogram
				to <- prometheus.MustNewConstHistogram(t.descs[i], h.Count, h.Sum, h.Buckets, all...)
			}
		}
	}
}

// collector reads the counters that the packages keep when it is scraped, so that the packages do not import
// Prometheus.
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

// Describe sends nothing: which labels there are depends on the configuration.
func (c *collector) Describe(chan<- *prometheus.Desc) {}

func (c *collector) Collect(to chan<- prometheus.Metric) {
	for _, e := range c.options.Elections {
		stats := e.Events()
		electionMetrics.collect(to, candidacy{e.Status(), e.Stats(), stats.Log, e.Fingerprint})
		for _, h := range stats.Handlers {
			handlerMetrics.collect(to, h)
		}
		for _, u := range stats.HeldBack {
			undeclaredMetrics.collect(to, undeclared{e.Status().Election, u})
		}
		for _, j := range e.Crons() {
			cronMetrics.collect(to, j)
		}
	}
	listenerMetrics.collect(to, c.options.Listener())
	buildMetrics.collect(to, c.options.Build)
}
