package fetch_test

import (
	"bytes"
	"strings"
	"testing"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
)

func TestServerWithoutUIDL(t *testing.T) {
	for name, missing := range map[string][]string{"UIDL": {"UIDL"}, "UIDL and PIPELINING": {"UIDL", "PIPELINING"}} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, without(missing...))
			h.drop.Add(message(1)) // a twin: the same octets
			h.mustPoll()
			h.delivered(1, 2, 3, 1)
			h.drop.Add(message(4))
			h.mustPoll()
			h.delivered(1, 2, 3, 1, 4)
			h.account.Policy.Delete = true
			h.mustPoll()
			h.onServer()
			h.delivered(1, 2, 3, 1, 4)
		})
	}
}

func TestServerWithoutUIDLAndTOP(t *testing.T) {
	h := newFixture(t, 2, without("UIDL", "TOP"))
	_, err := h.poll()
	class(t, err, fetch.Protocol)
	if err == nil || !strings.Contains(err.Error(), "neither unique-ids (UIDL) nor TOP") {
		t.Errorf("%v", err)
	}
	h.delivered()
}

func TestServerThatRefusesOneTOPLosesOneMessage(t *testing.T) {
	h := newFixture(t, 3, func(s *pop3test.Server) {
		s.Without = []string{"UIDL"}
		s.Faults = []pop3test.Fault{{At: "TOP 2 0", Session: 1, Do: pop3test.Err, Text: "gone"}}
	})
	r := h.mustPoll()
	h.delivered(1, 3)
	if r.Skipped != 1 {
		t.Errorf("%+v", r)
	}
	h.mustPoll()
	h.delivered(1, 2, 3)
}

// If a server that has unique-ids does not give them now, no mail may become new
// again.
func TestRefusedUIDLIsNotALackOfUniqueIDs(t *testing.T) {
	for name, change := range map[string]func(*pop3test.Server){
		"announced":      func(*pop3test.Server) {},
		"announced late": func(s *pop3test.Server) { s.LateCapa = []string{"UIDL"} },
		"not announced":  without("CAPA"),
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, func(s *pop3test.Server) {
				change(s)
				s.Faults = []pop3test.Fault{{At: "UIDL", Session: 2, Do: pop3test.Err, Text: "internal error"}}
			})
			h.mustPoll()
			_, err := h.poll()
			class(t, err, fetch.Temporary)
			h.delivered(1, 2, 3)
			h.untouched(func() { h.mustPoll() })
			h.delivered(1, 2, 3)
		})
	}
}

// At the first poll there is no record yet that shows it.
func TestUIDLRefusedAtTheFirstPoll(t *testing.T) {
	for name, tt := range map[string]struct {
		without []string
		text    string
	}{
		"announced":   {nil, "internal error"},
		"with a code": {[]string{"CAPA"}, "[SYS/TEMP] later"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, func(s *pop3test.Server) {
				s.Without = tt.without
				s.Faults = []pop3test.Fault{{At: "UIDL", Session: 1, Do: pop3test.Err, Text: tt.text}}
			})
			_, err := h.poll()
			class(t, err, fetch.Temporary)
			h.delivered()
			h.mustPoll()
			h.delivered(1, 2, 3)
		})
	}
}

func TestLineOfTheListingThatMakesNoSense(t *testing.T) {
	for name, line := range map[string]string{
		"no unique-id": "2 \r\n",
		"no number":    "x u2\r\n",
		"number 0":     "0 u2\r\n",
		"negative":     "-1 u2\r\n",
		"huge":         "4294967297 u2\r\n",
		"nothing":      "\r\n",
		"endless":      "2 " + strings.Repeat("x", 70_000) + "\r\n",
		"number twice": "1 u2\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, nil)
			h.server.SetFaults(pop3test.Fault{At: "UIDL", Do: pop3test.Edit, Edit: func(reply []byte) []byte {
				return bytes.Replace(reply, []byte("2 u2\r\n"), []byte(line), 1)
			}})
			r := h.mustPoll()
			h.delivered(1, 3)
			if r.Skipped != 1 {
				t.Errorf("%+v", r)
			}
			h.server.SetFaults()
			h.mustPoll()
			h.delivered(1, 2, 3)
		})
	}
}

// An id may be in the line that could not be read, so nothing counts as absent.
func TestListingWithAHoleAgesNothing(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.mustPoll()
	h.server.SetFaults(pop3test.Fault{At: "UIDL", Do: pop3test.Edit, Edit: func(reply []byte) []byte {
		return bytes.Replace(reply, []byte("2 u2\r\n"), []byte("2 \r\n"), 1)
	}})
	h.untouched(func() { h.mustPoll() })
}

func TestAbsentIDsAreMarkedAndComeBack(t *testing.T) {
	h := newFixture(t, 3, nil)
	h.mustPoll()
	h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.Partial, N: 1})
	h.mustPoll()
	if known := h.known(); known["u1"].Absences != 0 || known["u2"].Absences != 1 || known["u3"].Absences != 1 {
		t.Errorf("%+v", known)
	}
	h.server.SetFaults()
	h.mustPoll()
	if known := h.known(); known["u2"].Absences != 0 || !known["u3"].Absent.IsZero() {
		t.Errorf("%+v", known)
	}
	h.delivered(1, 2, 3)
}

func TestOddListings(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"other order":         {At: "", Do: pop3test.Shuffle, N: 3},
		"announces nonsense":  {At: "", Do: pop3test.WrongOctets, N: 1 << 62},
		"announces nothing":   {At: "LIST", Do: pop3test.Partial, N: 0},
		"announces more":      {At: "LIST", Do: pop3test.Ghosts, N: 3},
		"octets that are not": {At: "LIST", Do: pop3test.Edit, Edit: func(b []byte) []byte { return bytes.Replace(b, []byte("2 "), []byte("2 x"), 1) }},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 4, faults(f))
			r := h.mustPoll()
			h.delivered(1, 2, 3, 4)
			if r.Skipped != 0 {
				t.Errorf("%+v", r)
			}
			h.mustPoll()
			h.delivered(1, 2, 3, 4)
		})
	}
}

func TestListedMessagesThatDoNotExistCostThemselvesOnly(t *testing.T) {
	h := newFixture(t, 2, faults(pop3test.Fault{At: "UIDL", Do: pop3test.Ghosts, N: 2}))
	h.account.Policy.Delete = true
	r, err := h.poll()
	if err == nil || r.Failed != 2 || r.Deleted != 2 {
		t.Errorf("%+v", r)
	}
	h.delivered(1, 2)
	h.onServer()
}
