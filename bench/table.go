//go:build linux

package main

import (
	"fmt"
	"io"
	"strings"
)

// writeTable writes the results in Markdown: the ratios, then what every entry took.
func writeTable(w io.Writer, about []string, results []result) error {
	var t strings.Builder
	t.WriteString("# popfetch beside its peers\n\n")
	for _, line := range about {
		fmt.Fprintf(&t, "- %s\n", line)
	}
	t.WriteString("\nThe floor is the slower of two: *drain*, a client that pipelines everything and throws it away, and *disk*,\n" +
		"the same messages written from memory with one syncfs and one directory sync per 256. Times are medians in seconds of wall\n" +
		"clock; everybody ran in turn against the same Dovecot, and what each delivered was counted. popfetch makes every\n" +
		"message durable before it counts; peer / popfetch above 1 means that popfetch is faster. The delay of a round trip is\n" +
		"that of a relay on the loopback interface, without loss, slow start or limit of bandwidth.\n\n")
	row := func(cells ...string) { fmt.Fprintf(&t, "| %s |\n", strings.Join(cells, " | ")) }
	row("scenario", "floor", "popfetch", "best peer", "popfetch / floor", "peer / popfetch")
	row("---", "---:", "---:", "---:", "---:", "---:")
	for _, r := range results {
		row(summaryRow(r)...)
	}
	t.WriteString("\n")
	row("scenario", "who", "runs", "median", "fastest", "slowest", "peak RSS, MiB", "round trips")
	row("---", "---", "---:", "---:", "---:", "---:", "---:", "---:")
	for _, r := range results {
		for _, e := range r.entries {
			row(entryRow(r.scenario, e)...)
		}
	}
	t.WriteString("\nPeak RSS is that of the greatest process. Less than about 6 MiB cannot be told from what starts the process.\n" +
		"Who takes very long runs once; after \"over\" a run was cut off.\n")
	_, err := io.WriteString(w, t.String())
	return err
}

// none stands for what was not measured.
const none = "-"

func summaryRow(r result) []string {
	floor, own, best := r.floor(), r.find(subject), r.best()
	return []string{r.scenario, named(floor), timed(own), named(best), ratio(own, floor), ratio(best, own)}
}

func entryRow(scenario string, e *entry) []string {
	row := []string{scenario, e.name, fmt.Sprint(len(e.seconds)), timed(e), none, none, none, none}
	if len(e.seconds) > 0 {
		least, most := e.span()
		row[4], row[5] = seconds(least), seconds(most)
	}
	if e.rss > 0 {
		row[6] = fmt.Sprintf("%.1f", float64(e.rss)/1024)
	}
	if e.roundTrips > 0 {
		row[7] = fmt.Sprint(e.roundTrips)
	}
	return row
}

func named(e *entry) string {
	if e == nil {
		return none
	}
	return fmt.Sprintf("%s (%s)", timed(e), e.name)
}

// timed is the median of an entry, or why there is none.
func timed(e *entry) string {
	switch {
	case e == nil:
		return none
	case e.failed != "":
		return "failed"
	case e.over > 0:
		return fmt.Sprintf("over %.0f", e.over)
	case len(e.seconds) == 0:
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

func ratio(a, b *entry) string {
	if !a.counts() || !b.counts() {
		return none
	}
	return fmt.Sprintf("%.2f", a.median()/b.median())
}
