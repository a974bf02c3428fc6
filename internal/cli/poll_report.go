package cli

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"popfetch/fetch"
)

// reportLine is the result of one poll as JSON. popfetch(1) describes the
// fields.
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
	Time       string  `json:"time"`
	Class      string  `json:"class"`
	ExitCode   int     `json:"exit_code"`
	TooSoon    string  `json:"too_soon"`
	Error      string  `json:"error"`
}

// newReportLine returns the line of a poll that has ended now.
func newReportLine(r fetch.Report, now time.Time) reportLine {
	line := reportLine{
		Account: r.Account, Listed: r.Listed, Seen: r.Seen, Delivered: r.Delivered, Skipped: r.Skipped,
		SetAside: r.SetAside, Deleted: r.Deleted, Failed: r.Failed, Octets: r.Octets,
		RoundTrips: r.RoundTrips, Seconds: r.Seconds,
		Time: now.UTC().Format(time.RFC3339), Class: fetch.Classify(r.Err).String(), ExitCode: exitCodeOf(r.Err),
	}
	if !r.TooSoon.IsZero() {
		line.TooSoon = r.TooSoon.UTC().Format(time.RFC3339)
	}
	if r.Err != nil {
		line.Error = r.Err.Error()
	}
	return line
}

// summary is the result of a poll in words. It leaves out what is zero.
func summary(r fetch.Report) string {
	if !r.TooSoon.IsZero() {
		return "not polled: the server wants no login before " + r.TooSoon.Local().Format(time.DateTime) + " (LOGIN-DELAY)"
	}
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
	add(r.Skipped-r.SetAside, "skipped")
	add(r.SetAside, "set aside")
	add(r.Seen-r.Deleted, "seen before")
	if len(parts) == 0 {
		return "nothing delivered"
	}
	return strings.Join(parts, ", ")
}

// messages is a number of messages in words.
func messages(n int) string {
	if n == 1 {
		return "1 message"
	}
	return strconv.Itoa(n) + " messages"
}

// size formats octets for people, in units of 1024.
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
