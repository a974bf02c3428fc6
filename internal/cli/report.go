package cli

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"

	"popfetch/fetch"
)

// reportLine is one poll for programs. popfetch(1) describes the fields.
type reportLine struct {
	Account    string  `json:"account"`
	Listed     int     `json:"listed"`
	Seen       int     `json:"seen"`
	Delivered  int     `json:"delivered"`
	Skipped    int     `json:"skipped"`
	SetAside   int     `json:"set_aside"`
	Deleted    int     `json:"deleted"`
	Failed     int     `json:"failed"`
	Octets     int64   `json:"octets"`
	RoundTrips int     `json:"round_trips"`
	Seconds    float64 `json:"seconds"`
	Error      string  `json:"error"`
}

// report says how a poll went: JSON to standard output, or to a person who
// watches one line, and errors in any case.
func (p *program) report(r fetch.Report, asJSON, quiet bool) {
	if asJSON {
		line := reportLine{
			Account: r.Account, Listed: r.Listed, Seen: r.Seen, Delivered: r.Delivered, Skipped: r.Skipped,
			SetAside: r.SetAside, Deleted: r.Deleted, Failed: r.Failed, Octets: r.Octets,
			RoundTrips: r.RoundTrips, Seconds: r.Seconds,
		}
		if r.Err != nil {
			line.Error = r.Err.Error()
		}
		p.writeJSON(line)
	} else if p.terminal && !quiet {
		fmt.Fprintf(p.err, "popfetch: %s: %s\n", r.Account, summary(r))
	}
	if r.Err != nil {
		p.complain(r.Err)
	}
}

// writeJSON writes one object as one line. A standard output that is gone is
// nothing that mail waits for.
func (p *program) writeJSON(v any) {
	var line bytes.Buffer // for one Write
	if err := encode(&line, v); err != nil {
		fmt.Fprintf(p.err, "popfetch: %v\n", err)
		return
	}
	p.out.Write(line.Bytes())
}

// summary is a poll in words, the parts that are zero left out.
func summary(r fetch.Report) string {
	var parts []string
	add := func(n int, what string) {
		if n > 0 {
			parts = append(parts, strconv.Itoa(n)+" "+what)
		}
	}
	if r.Delivered > 0 {
		parts = append(parts, fmt.Sprintf("%d delivered (%s)", r.Delivered, size(r.Octets)))
	} else if r.Err == nil {
		parts = append(parts, "no new mail")
	}
	add(r.Deleted, "deleted on the server")
	add(r.Failed, "failed")
	add(r.Skipped-r.SetAside, "left out")
	add(r.SetAside, "set aside")
	add(r.Seen-r.Deleted, "seen before")
	if len(parts) == 0 {
		return "nothing delivered"
	}
	return strings.Join(parts, ", ")
}

// size writes octets for people.
func size(octets int64) string {
	const unit = 1024
	if octets < unit {
		return fmt.Sprintf("%d B", octets)
	}
	value, prefix := float64(octets)/unit, 0
	for value >= unit && prefix < 4 {
		value /= unit
		prefix++
	}
	return fmt.Sprintf("%.1f %ciB", value, "KMGTP"[prefix])
}
