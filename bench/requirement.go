//go:build linux

package main

import (
	"fmt"
	"strings"
)

// need is something that popfetch has to achieve in a scenario. scenario.go lists them.
type need struct {
	what    string                         // includes the limit
	measure func(r result) (float64, bool) // false = was not measured
	explain func(r result) string          // a likely reason if it is missed; nil or "" = none known
	accept  func(float64) bool
	format  string // of the figure
}

// times limits the ratio of two times: from above, or with least from below.
type times struct {
	limit float64
	least bool
}

func atMost(limit float64) times  { return times{limit: limit} }
func atLeast(limit float64) times { return times{limit, true} }

// ofFloor limits the time of popfetch divided by that of the slower floor.
func (t times) ofFloor() need {
	n := t.need("popfetch / slower floor", func(r result) (a, b *entry) { return r.find(subject), r.floor() })
	n.explain = func(r result) string {
		return compared("popfetch / both floors at once", r.find(subject), r.find(bothEntry))
	}
	return n
}

// ofDrain limits the time of popfetch divided by that of the floor of the network.
func (t times) ofDrain() need {
	return t.need("popfetch / drain", func(r result) (a, b *entry) { return r.find(subject), r.find(drainFloor) })
}

// ofPeer limits the time of a peer divided by that of popfetch.
func (t times) ofPeer(name string) need {
	return t.need(name+" / popfetch", func(r result) (a, b *entry) { return r.find(name), r.find(subject) })
}

// ofBestPeer limits the time of the fastest peer divided by that of popfetch.
func (t times) ofBestPeer() need {
	n := t.need("best peer / popfetch", func(r result) (a, b *entry) { return r.best(), r.find(subject) })
	n.explain = func(r result) string { return compared("best peer / drain", r.best(), r.find(drainFloor)) }
	return n
}

// ofBestSequential is ofBestPeer among the peers that poll one account after the other.
func (t times) ofBestSequential() need {
	return t.need("best sequential peer / popfetch", func(r result) (a, b *entry) { return r.best("fdm"), r.find(subject) })
}

// compared returns a ratio with its name, "" if it was not measured.
func compared(what string, a, b *entry) string {
	if !a.counts() || !b.counts() {
		return ""
	}
	return fmt.Sprintf("%s: %.2f", what, a.median()/b.median())
}

func (t times) need(what string, sides func(r result) (a, b *entry)) need {
	sign, accept := "≤", func(v float64) bool { return v <= t.limit }
	if t.least {
		sign, accept = "≥", func(v float64) bool { return v >= t.limit }
	}
	return need{
		what: fmt.Sprintf("%s %s %g", what, sign, t.limit), format: "%.2f", accept: accept,
		measure: func(r result) (float64, bool) {
			a, b := sides(r)
			if !a.counts() || !b.counts() {
				return 0, false
			}
			return a.median() / b.median(), true
		},
	}
}

// memory limits the peak resident memory, in MiB.
func memory(mib float64) need {
	return need{
		what: fmt.Sprintf("peak RSS ≤ %g MiB", mib), format: "%.1f", accept: func(v float64) bool { return v <= mib },
		measure: func(r result) (float64, bool) {
			e := r.find(subject)
			if !e.counts() || e.RSS == 0 {
				return 0, false
			}
			return float64(e.RSS) / 1024, true
		},
	}
}

// syncs limits the syncs for each message; 0 allows none in the whole run.
func syncs(perMessage float64) need {
	what := fmt.Sprintf("syncs per message ≤ %g", perMessage)
	if perMessage == 0 {
		what = "no syncs"
	}
	return need{
		what: what, format: "%.2f", accept: func(v float64) bool { return v <= perMessage },
		measure: func(r result) (float64, bool) { return r.syncsPerMessage() },
	}
}

// roundTrips limits the round trips after the greeting. A poll with nothing new needs two
// over TLS, and three in clear text: there the password waits for the server's offer.
func roundTrips(most int) need {
	return need{
		what: fmt.Sprintf("round trips ≤ %d", most), format: "%.0f", accept: func(v float64) bool { return v <= float64(most) },
		measure: func(r result) (float64, bool) {
			e := r.find(subject)
			if !e.counts() || e.RoundTrips == 0 {
				return 0, false
			}
			return float64(e.RoundTrips), true
		},
	}
}

// judge compares each need with what was measured.
func (r result) judge(needs []need) []verdict {
	var all []verdict
	for _, n := range needs {
		v := verdict{what: n.what, measured: none, met: "not measured"}
		if figure, ok := n.measure(r); ok {
			v.measured, v.met = fmt.Sprintf(n.format, figure), "no"
			if n.accept(figure) {
				v.met = "yes"
			} else if n.explain != nil && n.explain(r) != "" {
				v.met = "no; " + n.explain(r)
			}
		}
		all = append(all, v)
	}
	return all
}

// verdict is a need, what was measured, and whether that meets it, in words.
type verdict struct{ what, measured, met string }

// missed lists the needs that were not met; "yes" if all were.
func missed(all []verdict) string {
	var words []string
	for _, v := range all {
		if v.met != "yes" {
			words = append(words, fmt.Sprintf("%s: %s", v.what, v.measured))
		}
	}
	switch {
	case len(all) == 0:
		return none
	case len(words) == 0:
		return "yes"
	}
	return "no: " + strings.Join(words, "; ")
}
