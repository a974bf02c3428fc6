//go:build linux

package main

import (
	"fmt"
	"strings"
)

// none stands for what was not measured.
const none = "-"

// table returns the whole report in Markdown: ratios, requirements, and the figures of every
// contender.
func (r report) table() string {
	var t markdown
	t.WriteString("# popfetch beside its peers\n\n")
	t.list(r.About)
	fmt.Fprintf(&t, "\n%s\n", explanation())
	r.summary(&t)

	t.WriteString("\n## Requirements\n\n")
	t.head("scenario", "required", "measured:", "met")
	for _, played := range r.Results {
		for _, v := range played.judge(needsOf(played.Scenario)) {
			t.row(played.Scenario, v.what, v.measured, v.met)
		}
	}

	t.WriteString("\n## All programs\n\n")
	t.head("scenario", "program", "runs:", "median:", "fastest:", "slowest:", "peak RSS, MiB:", "round trips:")
	for _, played := range r.Results {
		for _, e := range played.Entries {
			t.row(e.row(played.Scenario)...)
		}
	}
	t.WriteString("\nPeak RSS is that of the largest process. Values below about 6 MiB include the program that starts it.\n")
	t.failures(r)
	return t.String()
}

// explanation describes how the figures were measured.
func explanation() string {
	return fmt.Sprintf(`The floor is the slower of two: *drain*, a client that pipelines everything and discards it, and *disk*, the same messages
written from memory into a Maildir with the cheapest syncs (%v, in groups of %d); *both* is the two at
the same time, since they share the processors. Times are medians in seconds of wall clock. All programs ran in turn against the
same Dovecot, and the messages that each delivered were counted. popfetch makes every message durable before it counts. Peer /
popfetch above 1 means that popfetch is faster. A slow peer ran only *once*; "over" means that a run was cut off then.

Server and clients live in two network namespaces. At RTT 0 clients connect over the loopback interface of the server; otherwise
every packet is delayed by half a round trip, without loss or a limit of bandwidth. The packets have at most %d
octets, a sender starts with ten of them, and windows grow up to 32 MiB, for every program. Syncs and round trips
are those of popfetch; strace counts the syncs in a run of its own.
`, diskFloor, diskFloor.group, linkMTU)
}

// summary writes a row for each scenario.
func (r report) summary(t *markdown) {
	t.head("scenario", "floor:", "popfetch:", "fastest - slowest:", "best peer:", "popfetch / floor:", "peer / popfetch:",
		"peak RSS, MiB:", "syncs / message:", "round trips:", "met")
	for _, played := range r.Results {
		own := played.find(subject)
		between, rss, synced, trips := none, none, none, none
		if own.counts() {
			least, most := own.span()
			between, rss = seconds(least)+" - "+seconds(most), mebibytes(own.RSS)
			trips = positive(own.RoundTrips)
		}
		if n, ok := played.syncsPerMessage(); ok {
			synced = fmt.Sprintf("%.2f", n)
		}
		floor, best := played.floor(), played.best()
		t.row(played.Scenario, floor.named(), own.timed(), between, best.named(), ratio(own, floor), ratio(best, own),
			rss, synced, trips, missed(played.judge(needsOf(played.Scenario))))
	}
}

// needsOf returns the needs of the scenario with that name.
func needsOf(name string) []need {
	for _, s := range append(fullScenarios(), quickScenarios()...) {
		if s.name == name {
			return s.needs
		}
	}
	return nil
}

// row returns the cells of the entry in the table of all contenders.
func (e *entry) row(scenario string) []string {
	runs := fmt.Sprint(len(e.Seconds))
	if e.Once {
		runs = "once"
	}
	least, most := none, none
	if len(e.Seconds) > 0 {
		a, b := e.span()
		least, most = seconds(a), seconds(b)
	}
	return []string{scenario, e.Name, runs, e.timed(), least, most, mebibytes(e.RSS), positive(e.RoundTrips)}
}

func (e *entry) named() string {
	if e == nil {
		return none
	}
	return fmt.Sprintf("%s (%s)", e.timed(), e.Name)
}

// timed returns the median time of an entry, or why there is none.
func (e *entry) timed() string {
	switch {
	case e == nil:
		return none
	case e.Failed != "":
		return "failed"
	case e.Over > 0:
		return fmt.Sprintf("over %.0f", e.Over)
	case len(e.Seconds) == 0:
		return none
	}
	return seconds(e.median())
}

func seconds(s float64) string {
	if s < 10 {
		return fmt.Sprintf("%.3f", s)
	}
	return fmt.Sprintf("%.1f", s)
}

func mebibytes(kib int64) string {
	if kib == 0 {
		return none
	}
	return fmt.Sprintf("%.1f", float64(kib)/1024)
}

func positive(n int) string {
	if n <= 0 {
		return none
	}
	return fmt.Sprint(n)
}

func ratio(a, b *entry) string {
	if !a.counts() || !b.counts() {
		return none
	}
	return fmt.Sprintf("%.2f", a.median()/b.median())
}

// markdown is a page under construction.
type markdown struct{ strings.Builder }

// head begins a table. Columns whose titles end with a colon hold numbers.
func (t *markdown) head(titles ...string) {
	var names, rules []string
	for _, title := range titles {
		name, number := strings.CutSuffix(title, ":")
		names = append(names, name)
		if number {
			rules = append(rules, "---:")
		} else {
			rules = append(rules, "---")
		}
	}
	t.row(names...)
	t.row(rules...)
}

func (t *markdown) row(cells ...string) { fmt.Fprintf(t, "| %s |\n", strings.Join(cells, " | ")) }

func (t *markdown) list(lines []string) {
	for _, line := range lines {
		fmt.Fprintf(t, "- %s\n", line)
	}
}

// failures quotes the first line of each failure.
func (t *markdown) failures(r report) {
	for _, played := range r.Results {
		for _, e := range played.Entries {
			if e.Failed != "" {
				line, _, _ := strings.Cut(e.Failed, "\n")
				fmt.Fprintf(t, "\n%s failed in \"%s\": %s\n", e.Name, played.Scenario, line)
			}
		}
	}
}
