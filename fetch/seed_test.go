package fetch_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

// seed marks what is in the maildrop as delivered.
func (h *fixture) seed(before time.Time) fetch.Seeded {
	h.t.Helper()
	found, err := h.account.Seed(context.Background(), before)
	if err != nil {
		h.t.Fatal(err)
	}
	h.server.Wait()
	return found
}

// What was seeded is neither fetched nor deleted, whatever the policy: it may be nowhere
// else.
func TestSeededMailStaysOnTheServerForGood(t *testing.T) {
	for name, change := range map[string]func(*pop3test.Server){
		"with header blocks": nil, "without TOP": without("TOP"), "without UIDL": without("UIDL"),
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, change)
			if found := h.seed(time.Time{}); found != (fetch.Seeded{Marked: 3}) {
				t.Errorf("%+v", found)
			}
			h.account.Policy = plan.Policy{Delete: true}
			h.drop.Add(message(4))
			if r := h.mustPoll(); r.Delivered != 1 || r.Seen != 3 || r.Deleted != 1 {
				t.Errorf("%+v", r)
			}
			if r := h.mustPoll(); r.Delivered+r.Deleted != 0 || r.Seen != 3 {
				t.Errorf("second poll: %+v", r)
			}
			h.onServer("u1", "u2", "u3")
			if found := h.seed(time.Time{}); found != (fetch.Seeded{}) {
				t.Errorf("seeded again: %+v", found)
			}
		})
	}
}

// A seeded message is recognised although the server has given it another unique-id.
func TestSeededMailIsRecognisedUnderNewIDs(t *testing.T) {
	h := newFixture(t, 0, nil)
	for n := range 3 {
		h.drop.Add(pop3test.Message{UID: fmt.Sprint("old", n), Raw: pop3test.Text(fmt.Sprintf("Message-ID: <%d@example.org>\n\nx\n", n))})
	}
	h.seed(time.Time{})
	h.drop.Remove("old0")
	h.drop.Add(pop3test.Message{UID: "new0", Raw: pop3test.Text("Message-ID: <0@example.org>\n\nx\n")})
	if r := h.mustPoll(); r.Delivered != 0 {
		t.Errorf("%+v", r)
	}
}

func TestSeedBeforeLeavesWhatCameLaterOrAtAnUnknownTime(t *testing.T) {
	now := time.Now()
	old, recent := now.AddDate(0, 0, -30).Format(time.RFC1123Z), now.Format(time.RFC1123Z)
	h := newFixture(t, 0, nil)
	for uid, header := range map[string]string{
		"old":      "Received: from a by b;\n\t" + old + " (CET)\nDate: " + recent + "\n",
		"received": "Received: from a by b; " + recent + "\nReceived: from c by a; " + old + "\nDate: " + old + "\n",
		"dated":    "DATE : " + old + "\n",
		"undated":  "Received: from a by b; yesterday\nSubject: " + old + "\n",
	} {
		h.drop.Add(pop3test.Message{UID: uid, Raw: pop3test.Text(header + "\nDate: " + old + "\n")})
	}
	if found := h.seed(now.AddDate(0, 0, -7)); found != (fetch.Seeded{Marked: 2, Newer: 1, Undated: 1}) {
		t.Errorf("%+v", found)
	}
	known := h.known()
	if !known["old"].Seen() || !known["dated"].Seen() || known["received"].Seen() || known["undated"].Seen() {
		t.Errorf("%+v", known)
	}
}

// The list of another fetcher proves nothing: what is in it is not fetched, and not
// deleted either when it is old enough.
func TestMailOfAnotherFetcherIsNeitherFetchedNorDeleted(t *testing.T) {
	for name, change := range map[string]func(*pop3test.Server){"with header blocks": nil, "without TOP": without("TOP")} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, change)
			for n := range 2 {
				h.put(message(n+1).UID, state.Record{Delivered: time.Now().AddDate(0, -1, 0), Octets: -1, Unproven: true})
			}
			h.account.Policy = plan.Policy{Delete: true, After: time.Hour}
			if r := h.mustPoll(); r.Delivered != 1 || r.Seen != 2 || r.Deleted != 0 {
				t.Errorf("%+v", r)
			}
			if r := h.mustPoll(); r.Delivered+r.Deleted != 0 || r.Seen != 3 {
				t.Errorf("second poll: %+v", r)
			}
			h.delivered(3)
		})
	}
}
