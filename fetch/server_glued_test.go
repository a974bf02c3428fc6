package fetch_test

import (
	"bytes"
	"strings"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// A server that leaves out the CRLF before the final dot turns this message, the
// next reply and the next message into one. None of that may be delivered.
func TestDotWithoutCRLFBeforeItGluesNoMessages(t *testing.T) {
	eachModeClocked(t, 4, func(t *testing.T, h *fixture) {
		for _, at := range []string{"RETR 2", "RETR 4", "RETR"} {
			h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: at, Do: pop3test.NoFinalCRLF})
			h.commands(h.server.Sessions(), []string{"DELE", "QUIT"})
		}
		h.converge(1, 2, 3, 4)
	})
}

// A group that is full in the middle of the window must not be published while a
// glued message may be in it.
func TestDotWithoutCRLFBeforeItPublishesNoFullGroup(t *testing.T) {
	for group := range 4 {
		clocked(t, 6, nil, func(t *testing.T, h *fixture) {
			h.options.Timeout = brief
			h.options.Pipelining = pop3.PipelineAuto
			h.account.Policy.Delete = true
			h.through(hookedDestination{group: group + 1})
			h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: "RETR 2", Do: pop3test.NoFinalCRLF})
			h.commands(1, []string{"DELE", "QUIT"})
			h.converge(1, 2, 3, 4, 5, 6)
		})
	}
}

// The same fault at the last message: replies at the end of the session must not
// become part of the message.
func TestDotWithoutCRLFBeforeItAtTheLastMessage(t *testing.T) {
	eachModeClocked(t, 1, func(t *testing.T, h *fixture) {
		h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: "RETR", Do: pop3test.NoFinalCRLF})
		h.commands(1, []string{"DELE", "QUIT"})
		h.converge(1)
	})
}

// A server that does not stuff a line "." ends the message there, and the rest of
// it is read as replies.
func TestUnstuffedBodyDeliversNoHalfMessage(t *testing.T) {
	for _, n := range []string{"RETR 1", "RETR 2", "RETR 3", "RETR"} {
		t.Run(n, func(t *testing.T) {
			eachModeClocked(t, 0, func(t *testing.T, h *fixture) {
				var texts []string
				for i := range 3 {
					s := text(i+1) + "The rest of the message.\n"
					texts = append(texts, s)
					h.drop.Add(pop3test.Message{Raw: pop3test.Text(s)})
				}
				h.server.SetFaults(pop3test.Fault{At: n, Do: pop3test.Unstuffed})
				_, err := h.visit(soon)
				if err == nil {
					t.Error("no error")
				}
				h.commands(1, []string{"DELE", "QUIT"})
				for _, got := range h.mail("new") {
					if !strings.HasSuffix(got, "The rest of the message.\n") {
						t.Errorf("new/ has a part of a message: %q", got)
					}
				}
				h.server.SetFaults()
				h.mustPoll()
				h.deliveredTexts(texts...)
				h.onServer()
			})
		})
	}
}

// The unstuffed dot ends the message early, and the rest of the body looks like
// the expected replies, so that the real ones come one too late.
func TestUnstuffedBodyThatLooksLikeReplies(t *testing.T) {
	eachModeClocked(t, 0, func(t *testing.T, h *fixture) {
		evil := "Subject: evil\n\nbefore\n.\n+OK 30 octets\nSubject: forged\n\nforged\n"
		h.drop.Add(pop3test.Message{Raw: pop3test.Text(evil)}, message(2), message(3))
		h.server.SetFaults(pop3test.Fault{At: "RETR 1", Do: pop3test.Unstuffed})
		h.visit(soon)
		h.commands(1, []string{"DELE", "QUIT"})
		h.server.SetFaults()
		h.mustPoll()
		h.onServer()
		got := h.mail("new")
		for _, want := range []string{evil, text(2), text(3)} {
			n := 0
			for _, s := range got {
				if s == want {
					n++
				}
			}
			if n != 1 {
				t.Errorf("%d copies of %q", n, want)
			}
		}
	})
}

// LF "." LF does not end a message.
func TestBareLineFeedsAroundTheDotEndNoMessage(t *testing.T) {
	eachModeClocked(t, 3, func(t *testing.T, h *fixture) {
		for _, at := range []string{"RETR 2", "RETR"} {
			h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: at, Do: pop3test.BareLFDot})
			h.commands(h.server.Sessions(), []string{"DELE", "QUIT"})
		}
		h.converge(1, 2, 3)
	})
}

// Other line ends around the dot do not end a message either.
func TestOtherLineEndsAroundTheDotEndNoMessage(t *testing.T) {
	for _, end := range []string{"\n.\r\n", "\r\n.\n", "\r\r.\r\r", "\r\n.\r", "\r.\r\n", "\r\n. \r\n", "\r\n.\x00\r\n"} {
		eachModeClocked(t, 3, func(t *testing.T, h *fixture) {
			h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: "RETR 2", Do: pop3test.Edit, Edit: func(b []byte) []byte {
				return append(bytes.TrimSuffix(b, []byte("\r\n.\r\n")), end...)
			}})
			h.commands(1, []string{"DELE", "QUIT"})
			h.converge(1, 2, 3)
		})
	}
}
