package fetch_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

// oddIDs are unique-ids that RFC 1939 does not allow but servers send.
var oddIDs = map[string]string{
	"71 octets":            strings.Repeat("a", 71),
	"512 octets":           strings.Repeat("b", 512),
	"513 octets":           strings.Repeat("c", 513),
	"4096 octets":          strings.Repeat("d", 4096),
	"8000 octets":          strings.Repeat("e", 8000),
	"spaces inside":        "a b  c",
	"tab":                  "a\tb",
	"path":                 "../../../../tmp/x",
	"absolute path":        "/etc/passwd",
	"slash":                "a/b",
	"flags":                "x:2,S",
	"escape":               "\x1b]0;owned\x07",
	"NUL":                  "a\x00b",
	"like a twin":          "u1\x002",
	"like a digest":        "digest:00:1",
	"like a hash":          "sha256:00",
	"8-bit":                "\xff\xfe\x80",
	"UTF-8":                "grüße",
	"CR inside":            "a\rb",
	"other line ends":      "a\x0b\x0c\x85b",
	"dot":                  ".",
	"two dots":             "..",
	"looks like a refusal": "-ERR no",
	"one octet":            "x",
}

// Every unique-id of 1 to 8000 octets is recorded, whatever its octets are, and
// is never part of a path.
func TestOddUniqueIDsAreRecorded(t *testing.T) {
	for name, uid := range oddIDs {
		for _, del := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, delete %v", name, del), func(t *testing.T) {
				h := newFixture(t, 1, nil)
				odd := message(2)
				odd.UID = uid
				h.drop.Add(odd, message(3))
				if r, err := h.visit(soon); err != nil || r.Delivered != 3 || r.Skipped != 0 {
					t.Errorf("%+v", r)
				}
				h.delivered(1, 2, 3)
				h.restart()
				h.untouched(func() { h.mustPoll() })
				h.account.Policy.Delete = del
				h.converge(1, 2, 3)
				for path := range h.files() {
					rel, _ := filepath.Rel(h.dir, path)
					if top, _, _ := strings.Cut(rel, string(os.PathSeparator)); top != "." && top != "mail" && !strings.HasPrefix(top, "state.db") {
						t.Errorf("there is a file %q", rel)
					}
				}
			})
		}
	}
}

// A unique-id that cannot be recorded costs its message, not the account, and
// nothing counts as delivered.
func TestUniqueIDThatIsTooLongCostsItsMessageOnly(t *testing.T) {
	for _, octets := range []int{8001, 8192, 60_000, 1 << 20} {
		h := newFixture(t, 1, nil)
		long := message(2)
		long.UID = strings.Repeat("x", octets)
		h.drop.Add(long, message(3))
		h.account.Policy.Delete = true
		r, err := h.visit(soon)
		if err != nil || r.Delivered != 2 || r.Skipped != 1 {
			t.Errorf("%d octets: %+v", octets, r)
		}
		h.delivered(1, 3)
		if left := h.drop.Messages(); len(left) != 1 || left[0].UID != long.UID {
			t.Errorf("%d octets: %d messages are left", octets, len(left))
		}
	}
}

// uidl is a fault that replaces octets in the reply to UIDL.
func uidl(old, with string) pop3test.Fault {
	return pop3test.Fault{At: "UIDL", Do: pop3test.Edit, Edit: func(b []byte) []byte {
		return bytes.ReplaceAll(b, []byte(old), []byte(with))
	}}
}

// Spaces and line ends that RFC 1939 does not allow.
func TestOddSpacingInAListing(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"several spaces": uidl(" u", "    u"),
		"tabs":           uidl(" u", "\t \tu"),
		"before":         uidl("\n", "\n  "),
		"behind":         uidl("u2", "u2 \t "),
		"zeros":          uidl("\n2 ", "\n0000002 "),
		"bare LF":        uidl("\r\n", "\n"),
	} {
		t.Run(name, func(t *testing.T) {
			if name == "before" { // the last line is "." and not a number
				f.Edit = func(b []byte) []byte { return bytes.ReplaceAll(b, []byte("\n2 "), []byte("\n  2 ")) }
			}
			h := newFixture(t, 3, faults(f))
			h.mustPoll()
			h.delivered(1, 2, 3)
			h.account.Policy.Delete = true
			h.converge(1, 2, 3)
		})
	}
}

// Numbers that no message can have: they take no memory, and cause no RETR or
// DELE of another message.
func TestListedNumbersThatNoMessageCanHave(t *testing.T) {
	for _, num := range []string{"0", "-1", "+2", "2147483648", "4294967297", "99999999999999999999", "0x2", "2.0", "２", ""} {
		for _, at := range []string{"UIDL", "LIST"} {
			t.Run(at+" "+num, func(t *testing.T) {
				eachMode(t, 3, func(t *testing.T, h *fixture) {
					h.server.SetFaults(pop3test.Fault{At: at, Do: pop3test.Edit, Edit: func(b []byte) []byte {
						return bytes.Replace(b, []byte("\n2 "), []byte("\n"+num+" "), 1)
					}})
					h.growsLittle(func() {
						if _, err := h.visit(soon); err != nil {
							t.Error(err)
						}
					})
					if at == "UIDL" {
						h.delivered(1, 3)
						h.onServer("u2")
					}
					h.converge(1, 2, 3)
				})
			})
		}
	}
}

// A possible number beyond the end of the maildrop costs one refused RETR.
func TestListedNumberBeyondTheMaildropCostsARefusedRetr(t *testing.T) {
	eachMode(t, 3, func(t *testing.T, h *fixture) {
		h.server.SetFaults(uidl("\r\n.\r\n", "\r\n2147483647 far\r\n1000000 away\r\n.\r\n"))
		h.growsLittle(func() {
			r, err := h.visit(soon)
			class(t, err, fetch.Temporary)
			if r.Delivered != 3 || r.Failed != 2 || r.Deleted != 3 {
				t.Errorf("%+v", r)
			}
		})
		h.converge(1, 2, 3)
	})
}

// UIDL, LIST and STAT disagree about how many messages there are.
func TestListingsThatDisagree(t *testing.T) {
	for name, tt := range map[string]struct {
		fault     pop3test.Fault
		delivered int
	}{
		"UIDL has fewer": {pop3test.Fault{At: "UIDL", Do: pop3test.Partial, N: 2}, 2},
		"UIDL has none":  {pop3test.Fault{At: "UIDL", Do: pop3test.Partial, N: 0}, 0},
		"LIST has fewer": {pop3test.Fault{At: "LIST", Do: pop3test.Partial, N: 2}, 4},
		"LIST has none":  {pop3test.Fault{At: "LIST", Do: pop3test.Partial, N: 0}, 4},
		"LIST refused":   {pop3test.Fault{At: "LIST", Do: pop3test.Err, Text: "no"}, -1},
		"STAT lies":      {pop3test.Fault{At: "STAT", Do: pop3test.Raw, Text: "+OK 1000000000 1\r\n"}, 4},
		"status lies":    {uidl("4 messages", "1 messages (1 octets)"), 4},
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, 4, func(t *testing.T, h *fixture) {
				h.server.SetFaults(tt.fault)
				r, err := h.visit(soon)
				if tt.delivered >= 0 && (err != nil || r.Delivered != tt.delivered) {
					t.Errorf("%+v", r)
				}
				h.onlyWholeMessages()
				h.converge(1, 2, 3, 4)
			})
		})
	}
}

// Two messages share a unique-id and change their order, or one of them goes: no
// message is lost, and none is deleted on the other's record.
func TestTwinsThatChangePlacesAreToldApart(t *testing.T) {
	short, long := message(1), message(22)
	short.UID, long.UID = "same", "same"
	for name, f := range map[string][]pop3test.Fault{
		"other order": nil,
		"one is gone": {uidl("1 same\r\n", "")},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 0, nil)
			h.drop.Add(short, long)
			h.mustPoll()
			h.delivered(1, 22)
			h.server.SetFaults(f...)
			if name == "other order" { // the same maildrop, moved to a server that sorts in another way
				moved := pop3test.NewMaildrop(long, short)
				h.server.Users["me"].Maildrop, h.drop = moved, moved
			}
			h.drop.Add(message(3)) // so that sizes are asked for
			h.mustPoll()
			h.delivered(1, 22, 3)
			h.account.Policy.Delete = true
			h.mustPoll()
			if n := len(h.drop.Messages()); n > 0 && name == "other order" || n < 1 && name == "one is gone" {
				t.Errorf("%d messages are left", n)
			}
		})
	}
}

// All unique-ids change once and change back: few messages are fetched again at
// most once, many not at all, and none is lost.
func TestUniqueIDsThatChangeAndChangeBackLoseNothing(t *testing.T) {
	h := newFixture(t, 25, nil)
	h.mustPoll()
	before := h.mail("new")
	for _, f := range [][]pop3test.Fault{
		{{At: "", Do: pop3test.RenumberUID, Text: "a"}}, nil,
		{{At: "", Do: pop3test.RenumberUID, Text: "b"}}, nil,
	} {
		h.server.SetFaults(f...)
		if r, err := h.visit(soon); err != nil || r.Delivered != 0 {
			t.Errorf("%+v", r)
		}
	}
	h.deliveredTexts(before...)
	h.account.Policy.Delete = true
	h.mustPoll()
	h.onServer()
}

// An empty, partial or cut listing makes no message new again.
func TestIncompleteListingMakesNothingNewAgain(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"empty":        {At: "", Do: pop3test.Partial, N: 0},
		"partial":      {At: "", Do: pop3test.Partial, N: 2},
		"UIDL empty":   {At: "UIDL", Do: pop3test.Partial, N: 0},
		"UIDL cut":     {At: "UIDL", Do: pop3test.Drop, After: 25},
		"UIDL refused": {At: "UIDL", Do: pop3test.Err, Text: "busy"},
		"UIDL ends":    uidl("3 u3\r\n4 u4\r\n5 u5\r\n", ""),
	} {
		for _, del := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, delete %v", name, del), func(t *testing.T) {
				h := newFixture(t, 5, nil)
				h.mustPoll()
				h.account.Policy = plan.Policy{Delete: del, After: 24 * time.Hour}
				h.server.SetFaults(f)
				h.visit(soon)
				if known := h.known(); len(known) != 5 {
					t.Errorf("%d of 5 are remembered", len(known))
				}
				h.server.SetFaults()
				r := h.mustPoll()
				if r.Delivered != 0 || r.Seen != 5 {
					t.Errorf("%+v", r)
				}
				h.delivered(1, 2, 3, 4, 5)
				h.onServer("u1", "u2", "u3", "u4", "u5")
			})
		}
	}
}

// Numbers and order change between sessions: only delivered messages are deleted.
func TestOrderThatChangesBetweenSessions(t *testing.T) {
	for seed := range int64(4) {
		h := newFixture(t, 5, nil)
		h.mustPoll()
		for _, n := range []int{6, 7} {
			h.drop.Add(message(n))
		}
		h.account.Policy = plan.Policy{Delete: true, After: time.Hour}
		for _, old := range []string{"u1", "u3", "u5"} {
			r := h.known()[old]
			r.Observed -= 2 * time.Hour
			h.put(old, r)
		}
		h.server.SetFaults(pop3test.Fault{At: "", Do: pop3test.Shuffle, N: seed}, pop3test.Fault{At: "UIDL", Do: pop3test.Shuffle, N: seed + 9})
		h.mustPoll()
		h.onServer("u2", "u4", "u6", "u7")
		h.delivered(1, 2, 3, 4, 5, 6, 7)
	}
}

// LIST announces wrong sizes of every kind.
func TestWrongSizesInListAreHarmless(t *testing.T) {
	real := fmt.Sprint(len(pop3test.Text(text(1))))
	for _, octets := range []string{"0", "1", "999999", "9223372036854775807", "9223372036854775808", "-5", "1e3", "", real + " octets", "99999999999999999999999"} {
		t.Run(octets, func(t *testing.T) {
			eachMode(t, 3, func(t *testing.T, h *fixture) {
				h.account.Policy.Delete = false
				h.server.SetFaults(pop3test.Fault{At: "LIST", Do: pop3test.Edit, Edit: func(b []byte) []byte {
					return bytes.ReplaceAll(b, []byte(" "+real+"\r\n"), []byte(" "+octets+"\r\n"))
				}}, pop3test.Fault{At: "RETR", Do: pop3test.WrongOctets, N: 7})
				if r, err := h.visit(soon); err != nil || r.Delivered != 3 {
					t.Errorf("%+v", r)
				}
				// Another size alone is no reason to fetch a delivered message.
				h.drop.Add(message(4))
				h.converge(1, 2, 3, 4)
				h.account.Policy.Delete = true
				h.converge(1, 2, 3, 4)
			})
		})
	}
}

// Mail arrives although CAPA, TOP or LIST is missing.
func TestServerWithoutCapaTopOrList(t *testing.T) {
	for _, missing := range [][]string{{"CAPA"}, {"TOP"}, {"CAPA", "TOP"}, {"CAPA", "UIDL"}, {"SASL"}, {"CAPA", "SASL"}} {
		t.Run(strings.Join(missing, ", "), func(t *testing.T) {
			h := newFixture(t, 3, without(missing...))
			if r, err := h.visit(soon); err != nil || r.Delivered != 3 {
				t.Errorf("%+v", r)
			}
			h.drop.Add(message(4))
			h.mustPoll()
			h.account.Policy.Delete = true
			h.converge(1, 2, 3, 4)
		})
	}
}

// A server that hides a message after RETR: it is delivered once, and that it is
// not listed any more changes nothing.
func TestMessageThatIsHiddenAfterRetrIsDeliveredOnce(t *testing.T) {
	eachMode(t, 4, func(t *testing.T, h *fixture) {
		h.account.Policy.Delete = false
		hide := pop3test.Fault{At: "", Do: pop3test.HideAfterRetr}
		h.visitWith(fetch.Temporary, soon, hide, pop3test.Fault{At: "RETR 3", Do: pop3test.Reset, After: pop3test.AfterStatus})
		h.delivered(1, 2)
		h.server.SetFaults(hide)
		h.mustPoll()
		if known := h.known(); !known["u1"].Seen() || !known["u2"].Seen() {
			t.Errorf("%+v", known)
		}
		got := map[string]bool{}
		for _, s := range h.mail("new") {
			if got[s] {
				t.Errorf("twice: %q", s)
			}
			got[s] = true
		}
	})
}
