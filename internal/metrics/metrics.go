// Package metrics shows Prometheus how the accounts are: over HTTP, and in a file for the
// textfile collector of node_exporter.
//
// The counters are kept with the last polls (package status), so they grow on across
// restarts, and from one run of cron to the next. There are about ten series for each
// account and no label but the name of the account and the class of a failure, so that
// thousands of accounts cost a Prometheus little.
package metrics

import (
	"net/http"
	"runtime"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"popfetch/internal/status"
)

// Now is how the accounts are.
type Now struct {
	Accounts []status.Poll // those that are polled; one without a poll so far has zero times
	Polling  int           // polls under way
	Queued   int           // polls that are due and wait for their place
}

// Metrics is what Prometheus can see. It is safe for concurrent use.
type Metrics struct {
	registry *prometheus.Registry
	process  *prometheus.Registry // of the process itself; node_exporter has series of the same names
}

// New returns the metrics of a popfetch of this version. now is called for each look at
// them, by several goroutines at once.
func New(version string, now func() Now) *Metrics {
	m := &Metrics{registry: prometheus.NewRegistry(), process: prometheus.NewRegistry()}
	m.registry.MustRegister(&collector{version: version, now: now})
	m.process.MustRegister(collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// Handler serves the metrics, and those of the process with them.
func (m *Metrics) Handler() http.Handler {
	return promhttp.HandlerFor(prometheus.Gatherers{m.registry, m.process}, promhttp.HandlerOpts{
		MaxRequestsInFlight: 4, ErrorHandling: promhttp.ContinueOnError,
	})
}

// WriteFile replaces the file at path in one step. Every user of the machine may read it.
func (m *Metrics) WriteFile(path string) error { return prometheus.WriteToTextfile(path, m.registry) }

// Names returns the names of all metrics but those of the process.
func Names() []string {
	var names []string
	for _, d := range all {
		names = append(names, d.name)
	}
	return names
}

// metric describes one metric.
type metric struct {
	name string
	desc *prometheus.Desc
}

func describe(name, help string, labels ...string) metric {
	return metric{name, prometheus.NewDesc(name, help, labels, nil)}
}

const account = "account" // label

var (
	build       = describe("popfetch_build_info", "Always 1; the labels say what popfetch this is.", "version", "goversion")
	polling     = describe("popfetch_polls_in_progress", "Polls under way.")
	queued      = describe("popfetch_polls_queued", "Polls that are due and wait for their place.")
	success     = describe("popfetch_last_success_timestamp_seconds", "When a poll of the account last went well; 0 = never.", account)
	latest      = describe("popfetch_last_poll_timestamp_seconds", "When a poll of the account last ended; 0 = never.", account)
	newMail     = describe("popfetch_last_new_mail_timestamp_seconds", "When a poll of the account last delivered something; 0 = never.", account)
	duration    = describe("popfetch_poll_duration_seconds", "How long the polls of the account took.", account)
	failures    = describe("popfetch_poll_failures_total", "Polls of the account that failed, by the class of the failure.", account, "class")
	delivered   = describe("popfetch_messages_delivered_total", "Messages that were delivered.", account)
	deleted     = describe("popfetch_messages_deleted_total", "Messages that the server has confirmed to be deleted.", account)
	received    = describe("popfetch_received_bytes_total", "Octets received in messages.", account)
	waiting     = describe("popfetch_messages_waiting", "Messages on the server that could not be delivered or are left there, those set aside included.", account)
	setAside    = describe("popfetch_messages_set_aside", "Messages that failed too often and are tried no more.", account)
	certificate = describe("popfetch_certificate_expiry_timestamp_seconds", "When the certificate expires that the server showed last.", account)

	all = []metric{build, polling, queued, success, latest, newMail, duration, failures, delivered, deleted, received, waiting, setAside, certificate}
)

// collector implements prometheus.Collector with what is known in the moment of a look.
type collector struct {
	version string
	now     func() Now
}

func (c *collector) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range all {
		ch <- m.desc
	}
}

func (c *collector) Collect(ch chan<- prometheus.Metric) {
	put := func(m metric, kind prometheus.ValueType, value float64, labels ...string) {
		ch <- prometheus.MustNewConstMetric(m.desc, kind, value, labels...)
	}
	now := c.now()
	put(build, prometheus.GaugeValue, 1, c.version, runtime.Version())
	put(polling, prometheus.GaugeValue, float64(now.Polling))
	put(queued, prometheus.GaugeValue, float64(now.Queued))
	for _, p := range now.Accounts {
		put(success, prometheus.GaugeValue, seconds(p.Success), p.Account)
		put(latest, prometheus.GaugeValue, seconds(p.Time), p.Account)
		put(newMail, prometheus.GaugeValue, seconds(p.NewMail), p.Account)
		ch <- prometheus.MustNewConstSummary(duration.desc, uint64(p.Totals.Polls), p.Totals.Seconds, nil, p.Account)
		for class, n := range p.Totals.Failures {
			put(failures, prometheus.CounterValue, float64(n), p.Account, class)
		}
		put(delivered, prometheus.CounterValue, float64(p.Totals.Delivered), p.Account)
		put(deleted, prometheus.CounterValue, float64(p.Totals.Deleted), p.Account)
		put(received, prometheus.CounterValue, float64(p.Totals.Octets), p.Account)
		put(waiting, prometheus.GaugeValue, float64(p.Waiting), p.Account)
		put(setAside, prometheus.GaugeValue, float64(p.SetAside), p.Account)
		if !p.Expires.IsZero() {
			put(certificate, prometheus.GaugeValue, seconds(p.Expires), p.Account)
		}
	}
}

// seconds is a time as Prometheus has it; 0 for none.
func seconds(t time.Time) float64 {
	if t.IsZero() {
		return 0
	}
	return float64(t.Unix())
}
