package cli

import (
	"fmt"

	"popfetch/fetch"
)

// tally is the sum of several polls.
type tally struct {
	accounts, failed int
	fetch.Report
}

// add counts a poll.
func (t *tally) add(r fetch.Report) {
	t.accounts++
	t.Delivered += r.Delivered
	t.Octets += r.Octets
	if r.Err != nil {
		t.Err = r.Err // not all is well
	}
	if class := fetch.Classify(r.Err); class != fetch.OK && class != fetch.Canceled {
		t.failed++
	}
}

// conclude tells those who watch what all polls together have brought, if there were
// several.
func (t *tally) conclude(con *console) {
	if !con.terminal || con.quiet || con.json || t.accounts < 2 {
		return
	}
	text := accountsInWords(t.accounts) + ": " + summary(t.Report)
	if t.failed > 0 {
		text += fmt.Sprintf("; %s failed", accountsInWords(t.failed))
	}
	con.say("%s", text)
}
