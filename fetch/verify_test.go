package fetch_test

import (
	"testing"
	"time"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/state"
)

func TestUniqueIDOfAnotherMessage(t *testing.T) {
	h := newFixture(t, 1, nil)
	h.mustPoll()
	h.account.Policy.Delete = true
	h.mustPoll()
	h.onServer()
	other := message(22)
	other.UID = "u1"
	h.drop.Add(other)
	h.account.Policy.Delete = true
	h.mustPoll()
	h.delivered(1, 22)
	h.onServer()
}

func TestOtherOctetsForTheSameMessage(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.mustPoll()
	h.server.SetFaults(pop3test.Fault{At: "LIST", Do: pop3test.WrongOctets, N: 1024})
	h.account.Policy.Delete = true
	r := h.mustPoll()
	if r.Delivered != 0 || r.Seen != 2 {
		t.Errorf("%+v", r)
	}
	h.commands(2, []string{"TOP", "RETR", "DELE"}, "TOP 1 0", "TOP 2 0", "DELE 1", "DELE 2")
	h.onServer()
	h.delivered(1, 2)
}

func TestUniqueIDOfAMessageThatIsTooBig(t *testing.T) {
	h := newFixture(t, 1, nil)
	h.mustPoll()
	h.account.Policy = plan.Policy{Delete: true}
	h.mustPoll()
	h.drop.Add(pop3test.Message{UID: "u1", Raw: bigText(9000)}, message(2))
	h.account.Policy.MaxOctets = 1000
	r := h.mustPoll()
	h.delivered(1, 2)
	h.onServer("u1")
	if r.Skipped != 1 {
		t.Errorf("%+v", r)
	}
	h.mustPoll()
	h.onServer("u1")
}

// Machines send mail with equal header blocks.
func TestReusedUniqueIDWithTheSameHeaderIsFetched(t *testing.T) {
	const first = "From: nas\nSubject: alarm\n\ndisk 1 failed\n"
	const second = "From: nas\nSubject: alarm\n\ndisk 2 failed too, replace it now\n"
	h := newFixture(t, 0, nil)
	h.account.Policy.Delete = true
	h.drop.Add(pop3test.Message{UID: "1", Raw: pop3test.Text(first)})
	h.mustPoll()
	h.onServer()
	h.drop.Add(pop3test.Message{UID: "1", Raw: pop3test.Text(second)})
	if r := h.mustPoll(); r.Delivered != 1 || r.Deleted != 1 {
		t.Errorf("%+v", r)
	}
	h.deliveredTexts(first, second)
	h.onServer()
}

// Without TOP a message that comes back is retrieved to be recognised, but not
// delivered again.
func TestReturnedMessageIsNotDeliveredAgainWithoutTOP(t *testing.T) {
	h := newFixture(t, 2, func(s *pop3test.Server) {
		s.Without = []string{"TOP"}
		s.Faults = []pop3test.Fault{{At: "QUIT", Do: pop3test.SkipUpdate}}
	})
	h.account.Policy.Delete = true
	h.mustPoll()
	for range 3 {
		if r := h.mustPoll(); r.Delivered != 0 || r.Failed != 0 || r.Seen != 2 {
			t.Errorf("%+v", r)
		}
		h.delivered(1, 2)
		h.onServer("u1", "u2")
	}
	h.converge(1, 2) // the last poll has recorded that they are still there
}

// Another size alone does not make another message. If no header block is shown, the
// message is retrieved and compared, and may be deleted then.
func TestOtherSizeIsComparedWhenTopIsRefused(t *testing.T) {
	for name, tt := range map[string]struct {
		change func(*pop3test.Server)
		fault  pop3test.Fault
	}{
		"no TOP":   {without("TOP"), pop3test.Fault{}},
		"SYS/TEMP": {nil, pop3test.Fault{At: "TOP", Do: pop3test.Err, Text: "[SYS/TEMP] later"}},
		"no code":  {nil, pop3test.Fault{At: "TOP", Do: pop3test.Err, Text: "no"}},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 2, tt.change)
			h.mustPoll()
			h.server.SetFaults(pop3test.Fault{At: "LIST", Do: pop3test.WrongOctets, N: 1024}, tt.fault)
			h.account.Policy.Delete = true
			r := h.mustPoll()
			h.delivered(1, 2)
			h.commands(2, []string{"RETR", "DELE"}, "RETR 1", "RETR 2", "DELE 1", "DELE 2")
			h.onServer()
			if r.Delivered != 0 || r.Seen != 2 || r.Deleted != 2 {
				t.Errorf("%+v", r)
			}
		})
	}
}

// Records that were imported from another fetcher have no digest.
func TestRecordWithoutADigestIsNotFetchedAgain(t *testing.T) {
	h := newFixture(t, 2, nil)
	h.put("u1", state.Record{Delivered: time.Now(), Octets: 1})
	r := h.mustPoll()
	h.delivered(2)
	if r.Delivered != 1 || r.Seen != 1 {
		t.Errorf("%+v", r)
	}
}
