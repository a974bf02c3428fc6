package fetch_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// stray puts a line in front of a reply, so that the session is lost there.
func stray(at string, session int) pop3test.Fault {
	return pop3test.Fault{At: at, Session: session, Do: pop3test.Edit, Edit: func(reply []byte) []byte {
		return append([]byte("garbage\r\n"), reply...)
	}}
}

// ahead sends commands ahead, and deletes what it delivers.
func (h *house) ahead() {
	h.options.Pipelining = pop3.PipelineAuto
	h.options.Timeout = time.Second
	h.account.Policy.Delete = true
}

// A reply too many moves the last message to where the replies to the marks are
// read. Its first line is one; the rest of it is still on its way then.
func TestSurplusReplyWhoseTailCameLateShiftedAllMessages(t *testing.T) {
	h := newHouse(t, 6, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Twice},
		pop3test.Fault{At: "RETR 6", Session: 1, Do: pop3test.Slow, N: int64(len("+OK 73 octets\r\n")), Delay: 20 * time.Millisecond},
	))
	h.ahead()
	r, err := h.poll()
	class(t, err, fetch.Protocol)
	if r.Delivered != 0 || r.Deleted != 0 {
		t.Errorf("%+v", r)
	}
	h.delivered()
	h.converge(1, 2, 3, 4, 5, 6)
}

// Without the reply to RETR 2 that to the mark is taken for the last message,
// whose body is cut off by the end of the connection: not every end of the
// connection leaves what came before it as it was.
func TestReplyLeftOutBeforeEndOfFileShiftedAllMessages(t *testing.T) {
	h := newHouse(t, 5, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Raw, Text: ""},
		pop3test.Fault{At: "NOOP", Session: 1, Do: pop3test.Extra, Text: "x"},
		pop3test.Fault{At: "NOOP", Session: 1, Do: pop3test.Drop, After: int64(len("+OK done\r\n"))},
	))
	h.ahead()
	h.withBoth()
	if r := h.mustPoll(); r.Delivered != 5 || r.Deleted != 5 {
		t.Errorf("%+v", r)
	}
	if got := h.server.Sessions(); got != 2 {
		t.Errorf("%d sessions, want 2", got)
	}
	h.delivered(1, 2, 3, 4, 5)
	h.onServer()
}

// A reply too many before a mark, and the message there is refused: the refusal
// is read as the reply to the mark, which proves nothing.
func TestRefusalTakenForTheReplyToAMarkConfirmedShiftedMessages(t *testing.T) {
	h := newHouse(t, 9, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Twice},
		pop3test.Fault{At: "RETR 8", Session: 1, Do: pop3test.Err, Text: "[SYS/TEMP] later"},
	))
	h.ahead()
	r, err := h.poll()
	class(t, err, fetch.Protocol)
	if r.Delivered != 0 || r.Deleted != 0 {
		t.Errorf("%+v", r)
	}
	h.delivered()
	h.converge(1, 2, 3, 4, 5, 6, 7, 8, 9)
}

// The same at the last message: the reply to the last mark is then left over.
func TestRefusalTakenForTheReplyToTheLastMarkLostTheLastMessage(t *testing.T) {
	h := newHouse(t, 6, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Twice},
		pop3test.Fault{At: "RETR 6", Session: 1, Do: pop3test.Err, Text: "[SYS/TEMP] later"},
		pop3test.Fault{At: "NOOP", Session: 1, Do: pop3test.Slow, Delay: 20 * time.Millisecond},
	))
	h.ahead()
	_, err := h.poll()
	class(t, err, fetch.Protocol)
	h.delivered()
	h.converge(1, 2, 3, 4, 5, 6)
}

// Machines send mail whose header blocks are all alike.
func TestReusedUniqueIDWithTheSameHeaderWasDeletedUnfetched(t *testing.T) {
	const first = "From: nas\nSubject: alarm\n\ndisk 1 failed\n"
	const second = "From: nas\nSubject: alarm\n\ndisk 2 failed too, replace it now\n"
	h := newHouse(t, 0, nil)
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

// Without TOP a message that comes back must be retrieved to be recognised, but
// not be delivered.
func TestServerWithoutTOPThatDeletesNothingHadAllDeliveredAgain(t *testing.T) {
	h := newHouse(t, 2, func(s *pop3test.Server) {
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

// Of two messages with one unique-id the first goes, and the other is then listed
// in its place. A poll that finds nothing to do must not forget the other's record.
func TestTwinWasFetchedAgainAfterAnIdlePoll(t *testing.T) {
	const a, b = "Subject: a\n\nA\n", "Subject: b\n\nB is longer\n"
	for name, idle := range map[string]int{"at once": 0, "after an idle poll": 1, "after three": 3} {
		t.Run(name, func(t *testing.T) {
			left := pop3test.Message{UID: "x", Raw: pop3test.Text(b)}
			h := newHouse(t, 0, nil)
			h.drop.Add(pop3test.Message{UID: "x", Raw: pop3test.Text(a)}, left)
			h.mustPoll()
			h.move(left)
			for range idle {
				h.mustPoll()
			}
			h.drop.Add(message(1))
			if r := h.mustPoll(); r.Delivered != 1 {
				t.Errorf("%+v", r)
			}
			h.deliveredTexts(a, b, text(1))
		})
	}
}

// What popfetch has deleted itself is gone for good: as many new messages are
// not the old ones under other ids.
func TestOwnDeletionsWereTakenForRenumbering(t *testing.T) {
	const n = 25
	fresh := make([]pop3test.Message, n)
	for i := range fresh {
		fresh[i] = message(100 + i)
	}
	for name, empty := range map[string]func(h *house){
		"delete_after": func(h *house) {
			h.account.Policy = plan.Policy{Delete: true, After: time.Hour}
			h.mustPoll()
			for id, r := range h.known() {
				r.Delivered = r.Delivered.Add(-2 * time.Hour)
				h.put(id, r)
			}
			h.mustPoll()
		},
		"deleted no longer": func(h *house) {
			h.account.Policy = plan.Policy{Delete: true}
			h.mustPoll()
			h.account.Policy = plan.Policy{}
		},
	} {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, n, nil)
			empty(h)
			h.onServer()
			h.drop.Add(fresh...)
			if r := h.mustPoll(); r.Delivered != n {
				t.Errorf("%+v", r)
			}
		})
	}
}

// parting is a session that says when it is closed.
type parting struct {
	fetch.Session
	closed *bool
}

func (p parting) Close() error {
	*p.closed = true
	return p.Session.Close()
}

// A maildrop is locked while a session lasts (RFC 1939 section 4), and this
// server refuses the second one at once.
func TestSecondVisitLoggedInWhileTheFirstHeldTheLock(t *testing.T) {
	h := newHouse(t, 6, faults(stray("RETR 3", 1)))
	h.server.LockWait = -1
	h.ahead()
	h.withBoth()
	closed := false
	open := h.account.Open
	h.account.Open = func(ctx context.Context, how fetch.Opening) (fetch.Session, error) {
		switch {
		case !how.Serial:
			s, err := open(ctx, how)
			return parting{s, &closed}, err
		case closed:
			h.server.Wait() // until the server has noticed
		default:
			t.Error("the first connection is open")
		}
		return open(ctx, how)
	}
	h.mustPoll()
	h.delivered(1, 2, 3, 4, 5, 6)
	h.onServer()
}

// Any reply to NOOP shows that the server is in step, that it does not know the
// command too.
func TestRefusedNOOPHeldUpAllMail(t *testing.T) {
	for name, p := range modes {
		t.Run(name, func(t *testing.T) {
			h := newHouse(t, 3, faults(
				pop3test.Fault{At: "RETR", Do: pop3test.WrongOctets, N: 7},
				pop3test.Fault{At: "NOOP", Do: pop3test.Err, Text: "unknown command"},
			))
			h.ahead()
			h.options.Pipelining = p
			if r := h.mustPoll(); r.Delivered != 3 || r.Deleted != 3 {
				t.Errorf("%+v", r)
			}
			h.delivered(1, 2, 3)
			h.onServer()
			if got := h.sent(1, "NOOP"); len(got) == 0 {
				t.Error("there was no NOOP")
			}
		})
	}
}

// What the first visit could not fetch and the second could is delivered, and
// nothing went wrong with it.
func TestRefusalOfTheFirstVisitWasReportedAfterACleanSecondOne(t *testing.T) {
	h := newHouse(t, 6, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Err, Text: "busy"},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
	))
	h.withBoth()
	if r := h.mustPoll(); r.Delivered != 6 || r.Failed != 0 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 2, 3, 4, 5, 6)
	if got := h.known()["u2"]; !got.Seen() || got.Failures != 0 || got.Reason != "" {
		t.Errorf("%+v", got)
	}
}

func TestRefusalInBothVisitsCountedTwice(t *testing.T) {
	h := newHouse(t, 6, faults(
		pop3test.Fault{At: "RETR 2", Do: pop3test.Err, Text: "busy"},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
	))
	h.withBoth()
	r, err := h.poll()
	var account *fetch.AccountError
	var single *fetch.MessageError
	if !errors.As(err, &account) || len(account.Errs) != 1 || !errors.As(err, &single) || single.UID != "u2" {
		t.Errorf("%v", err)
	}
	if r.Delivered != 5 || r.Failed != 1 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 3, 4, 5, 6)
	if got := h.known()["u2"]; got.Seen() || got.Failures != 1 {
		t.Errorf("%+v", got)
	}
}

// When the server gets out of step behind a message that is not as it was
// announced, that message is to be asked for last the next time, not the first
// one that had to be given up with it.
func TestFirstMessageWasBlamedForTheDoubtfulOne(t *testing.T) {
	h := newHouse(t, 6, faults(
		pop3test.Fault{At: "RETR 3", Do: pop3test.WrongOctets, N: 7},
		stray("RETR 5", 0),
	))
	h.ahead()
	_, err := h.poll()
	class(t, err, fetch.Protocol)
	h.delivered()
	var blamed []string
	for id, r := range h.known() {
		if r.Seen() || r.Reason == "" {
			t.Errorf("%s: %+v", id, r)
		}
		blamed = append(blamed, id)
	}
	if slices.Sort(blamed); !slices.Equal(blamed, []string{"u3", "u5"}) {
		t.Errorf("blamed are %q", blamed)
	}
	if got := h.known()["u3"].Reason; !strings.Contains(got, "announced, but 73") {
		t.Errorf("reason %q", got)
	}
	h.converge(1, 2, 3, 4, 5, 6)
}

func TestUnreadableLineOfTheSecondListingWasNotCounted(t *testing.T) {
	h := newHouse(t, 6, faults(
		pop3test.Fault{At: "UIDL", Do: pop3test.Edit, Edit: func(reply []byte) []byte {
			return bytes.Replace(reply, []byte("5 u5\r\n"), []byte("5\r\n"), 1)
		}},
		pop3test.Fault{At: "RETR 4", Session: 1, Do: pop3test.Drop},
	))
	h.withBoth()
	if r := h.mustPoll(); r.Listed != 5 || r.Skipped != 1 || r.Delivered != 5 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 2, 3, 4, 6)
}

// max_messages is for the poll, not for each of its visits.
func TestSecondVisitBeganMaxMessagesAnew(t *testing.T) {
	h := newHouse(t, 9, faults(pop3test.Fault{At: "RETR 3", Session: 1, Do: pop3test.Drop}))
	h.account.Policy.MaxMessages = 3
	h.withBoth()
	r := h.mustPoll()
	if r.Delivered != 3 || r.Skipped != 6 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 2, 4) // the one that was cut off comes last
	for range 2 {
		h.mustPoll()
	}
	h.delivered(1, 2, 3, 4, 5, 6, 7, 8, 9)
}
