package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

// One copy in the Maildir cannot stand for two messages: one of them is recorded
// already.
func TestOneCopyInTheMaildirStandsForOneMessage(t *testing.T) {
	one, err := plan.Inspect(bytes.NewReader(pop3test.Text(text(1))))
	if err != nil {
		t.Fatal(err)
	}
	one.Time = time.Now()
	for copies, want := range map[int]int{1: 0, 2: 1} {
		t.Run(fmt.Sprint("copies ", copies), func(t *testing.T) {
			h := newFixture(t, 1, nil)
			twin := message(1)
			twin.UID = "twin"
			h.drop.Add(twin)
			h.account.Policy.MaxMessages = 1
			h.mustPoll()
			have := []plan.Stored{one, one}[:copies]
			found, err := h.account.Relearn(context.Background(), have)
			if found.Learned != want || found.Unknown != 1-want || err != nil {
				t.Errorf("%+v, %v", found, err)
			}
			h.server.Wait()
			if got := h.known()["twin"].Seen(); got != (want == 1) {
				t.Errorf("recorded as delivered: %v", got)
			}
			if r := h.mustPoll(); r.Delivered != 1-want {
				t.Errorf("%+v", r)
			}
		})
	}
}

// stored returns a message as a fetcher has stored it, with its stamps in front.
func stored(t *testing.T, text string) plan.Stored {
	t.Helper()
	const stamps = "Return-Path: <a@example.org>\nDelivered-To: me\nReceived: from a by b\n\twith POP3; today\nReceived: from b by c; today\n"
	s, err := plan.Inspect(strings.NewReader(stamps + text))
	if err != nil {
		t.Fatal(err)
	}
	s.Time = time.Now()
	return s
}

func TestRebuildDoesNotDependOnListedSizes(t *testing.T) {
	const n = 30
	for name, habits := range map[string]pop3test.Habits{
		"LIST counts LF":         {CountLF: true},
		"LIST rounds":            {EstimateOctets: true},
		"LIST has no sizes":      {NoOctets: true},
		"TOP shows a field more": {TopField: true},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, n, func(s *pop3test.Server) { s.Habits = habits })
			var have []plan.Stored
			for i := range n {
				have = append(have, stored(t, text(i+1)))
			}
			found, err := h.account.Relearn(context.Background(), have)
			if found.Learned != n || found.Unknown+len(found.Ambiguous) != 0 || err != nil {
				t.Errorf("%+v, %v", found, err)
			}
			h.drop.Add(message(n + 1))
			if r := h.mustPoll(); r.Delivered != 1 {
				t.Errorf("%+v", r)
			}
			h.delivered(n + 1)
		})
	}
}

// Of two reports with one header only one is in the Maildir, and the header does not say
// which one.
func TestRebuildNamesMessagesThatLookAlike(t *testing.T) {
	reports := []string{"Subject: report\n\nall is well\n", "Subject: report\n\ndisk full\n"}
	h := newFixture(t, 0, nil)
	for i, text := range reports {
		h.drop.Add(pop3test.Message{UID: fmt.Sprint("report", i), Raw: pop3test.Text(text)})
	}
	found, err := h.account.Relearn(context.Background(), []plan.Stored{stored(t, reports[0])})
	if found.Learned != 0 || len(found.Ambiguous) != 2 || err != nil {
		t.Errorf("%+v, %v", found, err)
	}
	if r := h.mustPoll(); r.Delivered != 2 {
		t.Errorf("%+v", r)
	}
	h.deliveredTexts(reports...)
}
