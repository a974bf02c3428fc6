package fetch_test

import (
	"bytes"
	"fmt"
	"strings"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
)

// bodies are messages that a careless reader of dots, line ends or headers would
// change.
func bodies() []string {
	return []string{
		".\r\n", "..\r\n", ".x\r\n", "...\r\n", ".\r\n.\r\n.\r\n", "A: b\r\n\r\n.\r\n", "A: b\r\n\r\nx\r\n.\r\n..\r\n.y\r\n",
		"", "\r\n", "x\r\n", "\r\n\r\n", "A: b\r\n", "no header\r\n", "\r\n.\r\n",
		"A: b\r\n\r\nbare\n.\nbare\r.\rbare\n.\r\nbare\r\n", "A: b\r\n\r\n\r\r\n\n\r\n\r\n\r\r\n",
		"A: b\r\n\r\n\x00\x00.\x00\r\n\x00.\r\n", "\xff\xfe: 8-bit\r\n\r\n\x80\x81\r\n",
		"+OK\r\n-ERR\r\n+OK 100 octets\r\n.\r\n+OK bye\r\n", "From nobody\r\n>From x\r\nFrom y\r\n",
		"A: " + strings.Repeat("x", 998) + "\r\n\r\n" + strings.Repeat("y", 4096) + "\r\n." + strings.Repeat("z", 8192) + "\r\n",
		"A: " + strings.Repeat("h", 1<<20) + "\r\n\r\nbody\r\n",
		strings.Repeat("A: b\r\n", 100_000) + "\r\nbody\r\n",
		"A: b\r\n\r\n" + strings.Repeat(".\r\n", 30_000),
	}
}

// Every octet of any message arrives as it was sent, except for CRLF, and once.
func TestMessagesOfEveryKindArriveUnchanged(t *testing.T) {
	for _, secured := range []bool{false, true} {
		t.Run(fmt.Sprint("TLS ", secured), func(t *testing.T) {
			s := pop3test.ClearText
			if secured {
				s = pop3test.ImplicitTLS
			}
			h := newFixture(t, 0, serving(s))
			if secured {
				h.secured(pop3.ImplicitTLS)
			}
			h.options.Pipelining = pop3.PipelineAuto
			var want []string
			for _, b := range bodies() {
				h.drop.Add(pop3test.Message{Raw: []byte(b)})
				want = append(want, strings.ReplaceAll(b, "\r\n", "\n"))
			}
			h.growsLittle(func() { h.mustPoll() })
			h.deliveredTexts(want...)
			h.account.Policy.Delete = true
			h.mustPoll()
			h.deliveredTexts(want...)
			h.onServer()
		})
	}
}

// A dot line is recognised wherever it is split between two segments or TLS
// records.
func TestDotLineSplitBetweenSegments(t *testing.T) {
	short := bodies()[:20]
	for _, s := range []pop3test.Security{pop3test.ClearText, pop3test.ImplicitTLS} {
		for size := int64(1); size <= 9; size++ {
			h := newFixture(t, 0, serving(s))
			if s == pop3test.ImplicitTLS {
				h.secured(pop3.ImplicitTLS)
			}
			var want []string
			for _, b := range short {
				h.drop.Add(pop3test.Message{Raw: []byte(b)})
				want = append(want, strings.ReplaceAll(b, "\r\n", "\n"))
			}
			h.account.Policy.Delete = true
			h.server.SetFaults(pop3test.Fault{At: "RETR", Do: pop3test.Slow, N: size})
			if _, err := h.visit(soon); err != nil {
				t.Fatal(err)
			}
			h.deliveredTexts(want...)
			h.onServer()
		}
	}
}

// The server completes a last line that has no end; what arrives is what it sent.
func TestMessageWithoutAFinalLineEnd(t *testing.T) {
	for _, tail := range []string{"last", "last.", ".", "last\r", "last\n", "\x00"} {
		h := newFixture(t, 0, nil)
		raw := "A: b\r\n\r\n" + tail
		h.drop.Add(pop3test.Message{Raw: []byte(raw)}, message(2))
		h.account.Policy.Delete = true
		h.mustPoll()
		h.deliveredTexts(strings.ReplaceAll(raw+"\r\n", "\r\n", "\n"), text(2))
		h.onServer()
	}
}

// Replies come twice, late, in another order, unasked or not at all. Such a
// session deletes nothing unless it was in step throughout, no message is lost
// and none comes twice.
func TestRepliesOutOfStepDeleteNothing(t *testing.T) {
	retr2 := fmt.Sprintf("+OK %d octets\r\n%s.\r\n", len(pop3test.Text(text(2))), strings.ReplaceAll(string(pop3test.Text(text(2))), "\r\n.", "\r\n.."))
	for _, at := range []string{"RETR 1", "RETR 2", "RETR 4", "DELE 1", "DELE 4", "UIDL", "LIST", "AUTH", "CAPA"} {
		for name, f := range map[string]pop3test.Fault{
			"twice":               {At: at, Do: pop3test.Twice},
			"+OK unasked":         {At: at, Do: pop3test.Extra, Text: "+OK\r\n"},
			"-ERR unasked":        {At: at, Do: pop3test.Extra, Text: "-ERR\r\n"},
			"a message unasked":   {At: at, Do: pop3test.Extra, Text: retr2},
			"half a line unasked": {At: at, Do: pop3test.Extra, Text: "+"},
			"nonsense":            {At: at, Do: pop3test.Raw, Text: "OK\r\n"},
			"empty line":          {At: at, Do: pop3test.Raw, Text: "\r\n"},
			"nothing":             {At: at, Do: pop3test.Raw, Text: ""},
			"late":                {At: at, Do: pop3test.Late},
			"swapped":             {At: at, Do: pop3test.Swap},
			"later ones dropped":  {At: at, Do: pop3test.Forget},
		} {
			t.Run(at+" "+name, func(t *testing.T) {
				eachModeClocked(t, 0, func(t *testing.T, h *fixture) {
					want := h.addSizes(4)
					h.server.SetFaults(f)
					_, err := h.visit(soon)
					if c := fetch.Classify(err); c > fetch.Protocol {
						t.Errorf("class %d of %v", c, err)
					}
					h.options.Timeout = soon
					h.server.SetFaults()
					h.mustPoll()
					h.deliveredTexts(want...)
					h.onServer()
				})
			})
		}
	}
}

// addSizes adds n messages, no two of one size.
func (h *fixture) addSizes(n int) (texts []string) {
	for i := range n {
		s := text(i+1) + strings.Repeat("x", i) + "\n"
		texts = append(texts, s)
		h.drop.Add(pop3test.Message{UID: fmt.Sprintf("s%d", i+1), Raw: pop3test.Text(s)})
	}
	return texts
}

// A refusal in the middle of a window costs its message only, and every reply
// still belongs to its command.
func TestRefusalInAWindowCostsItsMessageOnly(t *testing.T) {
	for _, nums := range [][]int{{1}, {3}, {6}, {1, 2}, {2, 4, 6}, {1, 2, 3, 4, 5, 6}} {
		eachMode(t, 6, func(t *testing.T, h *fixture) {
			var refused []pop3test.Fault
			for _, n := range nums {
				refused = append(refused, pop3test.Fault{At: fmt.Sprintf("RETR %d", n), Do: pop3test.Err, Text: "[SYS/TEMP] not now"})
			}
			r, _ := h.visitWith(fetch.Temporary, soon, refused...)
			if want := 6 - len(nums); r.Failed != len(nums) || r.Delivered != want || r.Deleted != want {
				t.Errorf("%v refused: %+v", nums, r)
			}
			h.converge(1, 2, 3, 4, 5, 6)
		})
	}
}

// Wrong announced sizes are harmless, even under pipelining with groups that are
// full in the middle of a window.
func TestWrongOctetsAnnouncedAreHarmless(t *testing.T) {
	for _, octets := range []int64{0, 1, 1 << 40, 1<<63 - 1} {
		for _, group := range []int{1, 3, 100} {
			eachMode(t, 5, func(t *testing.T, h *fixture) {
				h.through(hookedDestination{group: group})
				h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.WrongOctets, N: octets})
				r, err := h.visit(soon)
				if err != nil || r.Delivered != 5 || r.Deleted != 5 {
					t.Errorf("%d octets, groups of %d: %+v", octets, group, r)
				}
				h.delivered(1, 2, 3, 4, 5)
				h.onServer()
			})
		}
	}
}

// The reply to RETR has no number, or a senseless one.
func TestAnnouncedSizeThatIsNoNumber(t *testing.T) {
	for _, status := range []string{"+OK", "+OK octets", "+OK -1 octets", "+OK 99999999999999999999 octets", "+ok 5", "+OK\t7", "+OK \xff\x00"} {
		eachMode(t, 3, func(t *testing.T, h *fixture) {
			h.server.SetFaults(pop3test.Fault{At: "RETR", Do: pop3test.Edit, Edit: func(b []byte) []byte {
				return append([]byte(status), b[bytes.Index(b, []byte("\r\n")):]...)
			}})
			r, err := h.visit(soon)
			if err != nil || r.Delivered != 3 || r.Deleted != 3 {
				t.Errorf("%q: %+v", status, r)
			}
			h.delivered(1, 2, 3)
		})
	}
}

// A body that is cut, however the connection ends, is not delivered; the messages
// before it are.
func TestRetrCutInsideTheBodyDeliversNoHalfMessage(t *testing.T) {
	for _, s := range []pop3test.Security{pop3test.ClearText, pop3test.ImplicitTLS} {
		for _, cut := range []pop3test.Kind{pop3test.Drop, pop3test.CutTLS, pop3test.Reset, pop3test.Stall} {
			for _, after := range []int64{pop3test.AfterStatus, 50, 80} {
				t.Run(fmt.Sprintf("TLS %v, kind %d, %d", s, cut, after), func(t *testing.T) {
					test := func(t *testing.T, h *fixture) {
						if s == pop3test.ImplicitTLS {
							h.secured(pop3.ImplicitTLS)
						}
						h.options.Pipelining = pop3.PipelineAuto
						h.account.Policy.Delete = true
						h.visitWith(fetch.Temporary, soon, pop3test.Fault{At: "RETR 3", Do: cut, After: after})
						if cut == pop3test.Stall && after == pop3test.AfterStatus {
							h.delivered() // a reply without a message: perhaps a reply was left out before
						} else {
							h.delivered(1, 2)
						}
						h.commands(1, []string{"DELE", "QUIT"})
						h.converge(1, 2, 3, 4)
					}
					if cut == pop3test.Stall {
						clocked(t, 4, serving(s), func(t *testing.T, h *fixture) {
							h.options.Timeout = brief
							test(t, h)
						})
					} else {
						test(t, newFixture(t, 4, serving(s)))
					}
				})
			}
		}
	}
}

// If all messages have one size, only the end of the window shows that replies
// are shifted: one is missing there, or one is left over.
func TestShiftedRepliesAmongMessagesOfOneSize(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"no reply":         {At: "RETR 1", Do: pop3test.Raw},
		"reply twice":      {At: "RETR 1", Do: pop3test.Twice},
		"-ERR unasked":     {At: "RETR 1", Do: pop3test.Extra, Text: "-ERR\r\n"},
		"-ERR for no RETR": {At: "RETR 4", Do: pop3test.Extra, Text: "-ERR\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			eachModeClocked(t, 4, func(t *testing.T, h *fixture) {
				h.server.SetFaults(f)
				h.visit(soon)
				h.onlyWholeMessages()
				h.somewhere(1, 2, 3, 4)
				h.options.Timeout = soon
				h.converge(1, 2, 3, 4)
			})
		})
	}
}
