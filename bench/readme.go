//go:build linux

package main

import (
	"fmt"
	"os"
	"strings"
)

// The summary stands between these lines of a page.
const (
	summaryBegin = "<!-- go run ./bench -readme README.md -->\n"
	summaryEnd   = "<!-- end of the summary -->\n"
)

// updateReadme writes the summary of a report into a page.
func updateReadme(page, figures string) error {
	r, err := readReport(figures)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(page)
	if err != nil {
		return err
	}
	updated, err := r.into(string(text))
	if err != nil {
		return fmt.Errorf("%s: %w", page, err)
	}
	return os.WriteFile(page, []byte(updated), 0o644)
}

// into returns the page with the summary of the report between its two lines.
func (r report) into(page string) (string, error) {
	before, rest, begun := strings.Cut(page, summaryBegin)
	_, after, ended := strings.Cut(rest, summaryEnd)
	if !begun || !ended {
		return "", fmt.Errorf("there is no line %q with %q after it", strings.TrimSpace(summaryBegin), strings.TrimSpace(summaryEnd))
	}
	var t markdown
	t.head("scenario", "floor:", "popfetch:", "best peer:", "popfetch / floor:", "peer / popfetch:")
	for _, played := range r.Results {
		own, floor, best := played.find(subject), played.floor(), played.best()
		t.row(played.Scenario, floor.named(), own.timed(), best.named(), ratio(own, floor), ratio(best, own))
	}
	t.WriteString("\n")
	t.list(r.About)
	return before + summaryBegin + "\n" + t.String() + "\n" + summaryEnd + after, nil
}
