package fetch_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// stray is a fault that puts a line in front of a reply, so that the session gets
// out of step there.
func stray(at string, session int) pop3test.Fault {
	return pop3test.Fault{At: at, Session: session, Do: pop3test.Edit, Edit: func(reply []byte) []byte {
		return append([]byte("garbage\r\n"), reply...)
	}}
}

// garbageAtSecond is a fault that answers the second command of a kind in the first session
// with what makes no sense.
func garbageAtSecond(at string) pop3test.Fault {
	n := 0
	return pop3test.Fault{At: at, Session: 1, Do: pop3test.Edit, Edit: func(reply []byte) []byte {
		if n++; n == 2 {
			return []byte("garbage\r\n")
		}
		return reply
	}}
}

// ahead sends commands ahead, and deletes what it delivers.
func (h *fixture) ahead() {
	h.options.Pipelining = pop3.PipelineAuto
	h.options.Timeout = time.Second
	h.account.Policy.Delete = true
}

// After a surplus reply the last message is read where the replies to the marks
// are due. Its first line looks like one, while the rest has not arrived yet.
func TestSurplusReplyWithALateTailDeliversNothing(t *testing.T) {
	clocked(t, 6, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Twice},
		pop3test.Fault{At: "RETR 6", Session: 1, Do: pop3test.Slow, N: int64(len("+OK 73 octets\r\n")), Delay: 20 * time.Millisecond},
	), func(t *testing.T, h *fixture) {
		h.ahead()
		r, err := h.poll()
		class(t, err, fetch.Protocol)
		if r.Delivered != 0 || r.Deleted != 0 {
			t.Errorf("%+v", r)
		}
		h.delivered()
		h.converge(1, 2, 3, 4, 5, 6)
	})
}

// The reply to RETR 2 is missing, so the reply to the mark is taken for that to
// the last RETR, and the connection ends where its body is due. This end of a
// connection says that messages before it are doubtful.
func TestMissingReplyBeforeTheConnectionEndsIsNoticed(t *testing.T) {
	clocked(t, 5, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Raw, Text: ""},
		pop3test.Fault{At: "STAT", Session: 1, Do: pop3test.Extra, Text: "x"},
		pop3test.Fault{At: "STAT", Session: 1, Do: pop3test.Drop, After: pop3test.AfterStatus},
	), func(t *testing.T, h *fixture) {
		h.ahead()
		h.allowFallback()
		if r := h.mustPoll(); r.Delivered != 5 || r.Deleted != 5 {
			t.Errorf("%+v", r)
		}
		if got := h.server.Sessions(); got != 2 {
			t.Errorf("%d sessions, want 2", got)
		}
		h.delivered(1, 2, 3, 4, 5)
		h.onServer()
	})
}

// There is a surplus reply before a mark, and the message there is refused: the
// refusal is read as the reply to the mark, which confirms nothing.
func TestRefusalInPlaceOfTheReplyToAMarkConfirmsNothing(t *testing.T) {
	clocked(t, 9, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Twice},
		pop3test.Fault{At: "RETR 8", Session: 1, Do: pop3test.Err, Text: "[SYS/TEMP] later"},
	), func(t *testing.T, h *fixture) {
		h.ahead()
		r, err := h.poll()
		class(t, err, fetch.Protocol)
		if r.Delivered != 0 || r.Deleted != 0 {
			t.Errorf("%+v", r)
		}
		h.delivered()
		h.converge(1, 2, 3, 4, 5, 6, 7, 8, 9)
	})
}

// The same at the last message: the reply to the last mark is left over then.
func TestRefusalInPlaceOfTheReplyToTheLastMarkConfirmsNothing(t *testing.T) {
	clocked(t, 6, faults(
		pop3test.Fault{At: "RETR 2", Session: 1, Do: pop3test.Twice},
		pop3test.Fault{At: "RETR 6", Session: 1, Do: pop3test.Err, Text: "[SYS/TEMP] later"},
		pop3test.Fault{At: "STAT", Session: 1, Do: pop3test.Slow, Delay: 20 * time.Millisecond},
	), func(t *testing.T, h *fixture) {
		h.ahead()
		_, err := h.poll()
		class(t, err, fetch.Protocol)
		h.delivered()
		h.converge(1, 2, 3, 4, 5, 6)
	})
}

// Any reply to STAT shows that the server is in step, even a refusal.
func TestRefusedSTATConfirmsThatTheSessionIsInStep(t *testing.T) {
	for name, p := range modes {
		t.Run(name, func(t *testing.T) {
			clocked(t, 3, faults(
				pop3test.Fault{At: "RETR", Do: pop3test.WrongOctets, N: 7},
				pop3test.Fault{At: "STAT", Do: pop3test.Err, Text: "unknown command"},
			), func(t *testing.T, h *fixture) {
				h.ahead()
				h.options.Pipelining = p
				if r := h.mustPoll(); r.Delivered != 3 || r.Deleted != 3 {
					t.Errorf("%+v", r)
				}
				h.delivered(1, 2, 3)
				h.onServer()
				if got := h.sent(1, "STAT"); len(got) == 0 {
					t.Error("there was no STAT")
				}
			})
		})
	}
}

// Small servers do not know NOOP, and some close the connection at a command that they do
// not know.
func TestServerThatClosesAtNOOPIsInStep(t *testing.T) {
	for name, p := range modes {
		for _, announced := range []int64{-1, 7} {
			t.Run(fmt.Sprint(name, ", announced: ", announced), func(t *testing.T) {
				clocked(t, 20, faults(pop3test.Fault{At: "NOOP", Do: pop3test.Drop}), func(t *testing.T, h *fixture) {
					if announced >= 0 {
						h.server.SetFaults(pop3test.Fault{At: "NOOP", Do: pop3test.Drop}, pop3test.Fault{At: "RETR", Do: pop3test.WrongOctets, N: announced})
					}
					h.ahead()
					h.options.Pipelining = p
					h.allowFallback()
					if r := h.mustPoll(); r.Delivered != 20 || r.Deleted != 20 {
						t.Errorf("%+v", r)
					}
					if got := h.server.Sessions(); got != 1 {
						t.Errorf("%d sessions", got)
					}
				})
			})
		}
	}
}

// If the server gets out of step after a message of the wrong size, the next poll
// takes that message last, not the first one that was given up with it.
func TestDoubtfulMessageIsTakenLastNextTime(t *testing.T) {
	clocked(t, 6, faults(
		pop3test.Fault{At: "RETR 3", Do: pop3test.WrongOctets, N: 7},
		stray("RETR 5", 0),
	), func(t *testing.T, h *fixture) {
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
		if got := h.known()["u3"].Reason; !strings.Contains(got, "102 octets came") {
			t.Errorf("reason %q", got)
		}
		h.converge(1, 2, 3, 4, 5, 6)
	})
}

// A message has another size than announced and the user stops popfetch; the reply
// to the STAT that is to show whether the session is in step makes no sense.
func TestGarbageAfterAMessageOfTheWrongSizeDeliversNothing(t *testing.T) {
	h := newFixture(t, 3, faults(
		pop3test.Fault{At: "", Session: 1, Do: pop3test.WrongOctets, N: 10},
		garbageAtSecond("STAT"),
	))
	h.account.Policy.Delete = true
	ctx, stop := context.WithCancel(t.Context())
	h.watch(watched{body: func(_ int, r io.Reader) io.Reader { return &atRead{r, stop} }})
	if _, err := h.account.Poll(ctx); err == nil {
		t.Error("no error")
	}
	h.server.Wait()
	h.delivered()
	h.commands(1, []string{"RETR", "STAT", "DELE", "QUIT"}, "STAT", "RETR 1", "STAT")
	h.server.SetFaults()
	h.mustPoll()
	h.delivered(1, 2, 3)
}

// Neither LIST nor the reply to RETR tells the size, and an unstuffed dot line ends
// the message early: only what follows shows that it is half a message.
func TestHalfAMessageOfUnknownSizeIsNotDelivered(t *testing.T) {
	h := newFixture(t, 1, faults(
		pop3test.Fault{At: "LIST", Do: pop3test.Raw, Text: "+OK\r\n.\r\n"},
		pop3test.Fault{At: "RETR 1", Session: 1, Do: pop3test.Edit, Edit: func(reply []byte) []byte {
			_, message, _ := bytes.Cut(reply, []byte("\r\n"))
			head, body, _ := bytes.Cut(message, []byte("\r\n\r\n"))
			return join("+OK\r\n", head, "\r\n\r\n.\r\n", body)
		}},
	))
	h.account.Policy.Delete = true
	_, err := h.poll()
	class(t, err, fetch.Protocol)
	h.delivered()
	h.commands(1, []string{"DELE", "QUIT"})
	h.mustPoll()
	h.delivered(1)
}

// join joins strings and octets.
func join(parts ...any) []byte {
	var all []byte
	for _, part := range parts {
		all = fmt.Appendf(all, "%s", part)
	}
	return all
}
