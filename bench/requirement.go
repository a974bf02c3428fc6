//go:build linux

package main

import (
	"fmt"
	"strings"
)

// need is something that popfetch has to reach in a scenario. scenario.go has the list.
type need struct {
	what   string                         // with the limit
	there  func(r result) (float64, bool) // the figure, if it was measured
	holds  func(r result) string          // what is known of why it is missed, nil or "" = nothing
	fine   func(float64) bool             // whether it will do
	format string
}

// times is a limit on the ratio of two times.
type times struct {
	limit float64
	least bool
}

func atMost(limit float64) times  { return times{limit: limit} }
func atLeast(limit float64) times { return times{limit, true} }

// ofFloor limits how many times as long as the slower floor popfetch takes.
func (t times) ofFloor() need {
	n := t.need("popfetch / slower floor", func(r result) (a, b *entry) { return r.find(subject), r.floor() })
	n.holds = func(r result) string {
		return compared("popfetch / both floors at once", r.find(subject), r.find(bothEntry))
	}
	return n
}

// ofDrain limits how many times as long as the floor of the network popfetch takes.
func (t times) ofDrain() need {
	return t.need("popfetch / drain", func(r result) (a, b *entry) { return r.find(subject), r.find(drainFloor) })
}

// ofPeer limits how many times as long as popfetch a peer takes.
func (t times) ofPeer(name string) need {
	return t.need(name+" / popfetch", func(r result) (a, b *entry) { return r.find(name), r.find(subject) })
}

// ofBestPeer does so for the fastest.
func (t times) ofBestPeer() need {
	n := t.need("best peer / popfetch", func(r result) (a, b *entry) { return r.best(), r.find(subject) })
	n.holds = func(r result) string { return compared("best peer / drain", r.best(), r.find(drainFloor)) }
	return n
}

// ofBestSequential does so for the fastest of those that poll one account after the other.
func (t times) ofBestSequential() need {
	return t.need("best sequential peer / popfetch", func(r result) (a, b *entry) { return r.best("fdm"), r.find(subject) })
}

// compared is a ratio with its name, "" where it was not measured.
func compared(what string, a, b *entry) string {
	if !a.counts() || !b.counts() {
		return ""
	}
	return fmt.Sprintf("%s: %.2f", what, a.median()/b.median())
}

func (t times) need(what string, sides func(r result) (a, b *entry)) need {
	sign, fine := "≤", func(v float64) bool { return v <= t.limit }
	if t.least {
		sign, fine = "≥", func(v float64) bool { return v >= t.limit }
	}
	return need{
		what: fmt.Sprintf("%s %s %g", what, sign, t.limit), format: "%.2f", fine: fine,
		there: func(r result) (float64, bool) {
			a, b := sides(r)
			if !a.counts() || !b.counts() {
				return 0, false
			}
			return a.median() / b.median(), true
		},
	}
}

// memory limits the peak of resident memory, in MiB.
func memory(mib float64) need {
	return need{
		what: fmt.Sprintf("peak RSS ≤ %g MiB", mib), format: "%.1f", fine: func(v float64) bool { return v <= mib },
		there: func(r result) (float64, bool) {
			e := r.find(subject)
			if !e.counts() || e.RSS == 0 {
				return 0, false
			}
			return float64(e.RSS) / 1024, true
		},
	}
}

// syncs limits the syncs for each message; with 0, those of the whole run.
func syncs(perMessage float64) need {
	what := fmt.Sprintf("syncs per message ≤ %g", perMessage)
	if perMessage == 0 {
		what = "no syncs"
	}
	return need{
		what: what, format: "%.2f", fine: func(v float64) bool { return v <= perMessage },
		there: func(r result) (float64, bool) { return r.syncsPerMessage() },
	}
}

// judge says of each need what was measured, and whether that will do.
func (r result) judge(needs []need) []verdict {
	var all []verdict
	for _, n := range needs {
		v := verdict{what: n.what, measured: none, met: "not measured"}
		if figure, ok := n.there(r); ok {
			v.measured, v.met = fmt.Sprintf(n.format, figure), "no"
			if n.fine(figure) {
				v.met = "yes"
			} else if n.holds != nil && n.holds(r) != "" {
				v.met = "no; " + n.holds(r)
			}
		}
		all = append(all, v)
	}
	return all
}

// verdict is what came of a need, in words.
type verdict struct{ what, measured, met string }

// missed lists what was not met, "yes" if all was.
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
