package fetch_test

import (
	"fmt"
	"strings"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// longListing is a reply to UIDL that lists n messages.
func longListing(n int) pop3test.Fault {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "%d u%d\r\n", i+1, i+1)
	}
	return pop3test.Fault{At: "UIDL", Do: pop3test.Raw, After: pop3test.AfterStatus, Text: b.String() + ".\r\n"}
}

// Two long listings for which there is no room at once are read one after the other, and
// the account that waits holds no session meanwhile.
func TestLongListingsWaitForRoomWithoutASession(t *testing.T) {
	const n = 60_000
	room := fetch.NewRoom(5 << 20)
	first, second := newFixture(t, 1, nil), newFixture(t, 1, nil)
	for _, h := range []*fixture{first, second} {
		h.account.Room, h.account.Policy.MaxMessages = room, 1
		h.options.Pipelining = pop3.PipelineOff // LIST comes when the unique-ids have been read
	}
	listing, listed, polled := longListing(n), make(chan struct{}), make(chan struct{})
	second.server.SetFaults(listing, pop3test.Fault{At: "UIDL", Times: 1, Hook: func() { close(listed) }})
	first.server.SetFaults(listing, pop3test.Fault{At: "LIST", Hook: func() { // the first one has read its unique-ids
		go func() {
			defer close(polled)
			second.poll()
		}()
		<-listed
		second.server.Wait()
	}})
	first.mustPoll()
	<-polled
	for name, h := range map[string]*fixture{"first": first, "second": second} {
		h.delivered(1)
		if want := map[string]int{"first": 1, "second": 2}[name]; h.drop.Sessions() != want {
			t.Errorf("%s: %d sessions, want %d", name, h.drop.Sessions(), want)
		}
	}
}

// A listing that is longer than the room takes all of it, and gives it back.
func TestListingLongerThanTheRoomIsRead(t *testing.T) {
	h := newFixture(t, 1, nil)
	h.account.Room, h.account.Policy.MaxMessages = fetch.NewRoom(1<<20), 1
	h.server.SetFaults(longListing(100_000))
	for range 2 { // the second one asks for a message that is not there
		if r, _ := h.poll(); r.Listed != 100_000 {
			t.Errorf("%+v", r)
		}
	}
	h.delivered(1)
}

// A poll keeps of a very long listing what it retrieves, and the next poll continues.
func TestVeryManyNewMessagesAreFetchedInParts(t *testing.T) {
	const n, part = 60_000, 50_000
	h := newFixture(t, 0, nil)
	h.options.Pipelining = pop3.PipelineAuto
	h.account.Policy.Delete = true
	for i := range n {
		h.drop.Add(pop3test.Message{UID: fmt.Sprintf("u%d", i), Raw: pop3test.Text(fmt.Sprintf("Message-ID: <%d@x>\n\n", i))})
	}
	for _, want := range []int{part, n - part} {
		if r := h.mustPoll(); r.Delivered != want || r.Deleted != want || r.Listed-r.Skipped != want {
			t.Errorf("%+v", r)
		}
	}
	if left := h.mail("new"); len(left) != n {
		t.Errorf("%d messages arrived", len(left))
	}
	h.onServer()
}
