package fetch_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3/pop3test"
)

// An endless line is given up at its limit, wherever it comes in a session, and
// takes no memory.
func TestEndlessLineEndsAtItsLimit(t *testing.T) {
	at := func(point string, after int64) pop3test.Fault {
		return pop3test.Fault{At: point, Do: pop3test.Endless, After: after, Text: strings.Repeat("x", 4096)}
	}
	for name, f := range map[string]pop3test.Fault{
		"greeting":          at("greeting", 4),
		"CAPA status":       at("CAPA", 0),
		"CAPA line":         at("CAPA", pop3test.AfterStatus),
		"login":             at("PASS", 3),
		"UIDL status":       at("UIDL", 3),
		"UIDL line":         at("UIDL", pop3test.AfterStatus),
		"UIDL second line":  at("UIDL", 22),
		"LIST status":       at("LIST", 0),
		"LIST line":         at("LIST", pop3test.AfterStatus),
		"RETR status":       at("RETR 2", 3),
		"DELE status":       at("DELE 2", 3),
		"QUIT status":       at("QUIT", 3),
		"refusal":           {At: "RETR 2", Do: pop3test.Endless, Text: "-ERR " + strings.Repeat("x", 4096)},
		"refused login":     {At: "PASS", Do: pop3test.Endless, Text: "-ERR " + strings.Repeat("x", 4096)},
		"NULs":              {At: "UIDL", Do: pop3test.Endless, After: pop3test.AfterStatus, Text: strings.Repeat("\x00", 4096)},
		"CRs":               {At: "UIDL", Do: pop3test.Endless, After: pop3test.AfterStatus, Text: strings.Repeat("\r", 4096)},
		"CRs in the status": {At: "UIDL", Do: pop3test.Endless, Text: strings.Repeat("\r", 4096)},
	} {
		t.Run(name, func(t *testing.T) {
			h := newFixture(t, 3, without("SASL"))
			h.account.Policy.Delete = true
			h.growsLittle(func() { h.visitWith(fetch.Protocol, soon, f) })
			h.converge(1, 2, 3)
		})
	}
}

// A challenge may be long, but not endless.
func TestEndlessChallengeEndsAtItsLimit(t *testing.T) {
	for mechanism, at := range map[string]string{"CRAM-MD5": "challenge", "LOGIN": "challenge", "PLAIN": "AUTH"} {
		h := newFixture(t, 1, func(s *pop3test.Server) { s.SASL, s.Without = []string{mechanism}, []string{"USER"} })
		f := pop3test.Fault{At: at, Do: pop3test.Endless, Text: "+ " + strings.Repeat("x", 4096)}
		h.growsLittle(func() { h.visitWith(fetch.Protocol, soon, f) })
		h.converge(1)
	}
}

// mostListing is how many octets the heap may grow for a listing, which is kept
// as a whole: its 32 MiB, and as much again for the garbage collector.
const mostListing = 64 << 20

// numbered returns a hundred lines for Endless, each with its own number.
func numbered(rest string) string {
	var b strings.Builder
	for i := range 100 {
		fmt.Fprintf(&b, "%%d%02d%s\r\n", i, rest)
	}
	return b.String()
}

// An endless listing is given up at its limit.
func TestEndlessListingEndsAtItsLimit(t *testing.T) {
	for _, tt := range []struct {
		name, at, octets string
		heap             uint64
	}{
		{"CAPA", "CAPA", numbered(""), mostHeap},
		{"CAPA of one name", "CAPA", "SASL %d\r\n", mostHeap},
		{"UIDL", "UIDL", numbered(" 000000015c1d%d"), mostListing},
		{"UIDL with long ids", "UIDL", "%d %d" + strings.Repeat("x", 7900) + "\r\n", mostHeap},
		{"UIDL with ids of 500 octets", "UIDL", "%d %d" + strings.Repeat("x", 500) + "\r\n", mostListing},
		{"UIDL of one message", "UIDL", strings.Repeat("1 u1\r\n", 100), mostListing},
		{"UIDL that makes no sense", "UIDL", strings.Repeat("x\r\n", 100), mostHeap},
		{"UIDL of empty lines", "UIDL", strings.Repeat("\r\n", 100), mostHeap},
		{"UIDL of lines that are too long", "UIDL", strings.Repeat("x", 9000) + "\r\n", mostHeap},
		{"LIST", "LIST", numbered(" 1"), mostHeap},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := newFixture(t, 3, nil)
			f := pop3test.Fault{At: tt.at, Do: pop3test.Endless, After: pop3test.AfterStatus, Text: tt.octets}
			h.growsAtMost(tt.heap, func() { h.visitWith(fetch.Protocol, 10*soon, f) })
			h.converge(1, 2, 3)
		})
	}
}

// Thousands of unasked continuations in place of a reply.
func TestEndlessContinuationsEndTheLogin(t *testing.T) {
	for name, f := range map[string]pop3test.Fault{
		"challenges for AUTH": {At: "challenge", Do: pop3test.Endless, Text: "+ \r\n"},
		"challenges for UIDL": {At: "UIDL", Do: pop3test.Endless, Text: "+ \r\n"},
		"empty lines":         {At: "UIDL", Do: pop3test.Endless, Text: "\r\n"},
		"+OK":                 {At: "AUTH", Do: pop3test.Endless, Text: "+OK\r\n"},
		"+OK after RETR":      {At: "RETR 2", Do: pop3test.Endless, Text: "+OK\r\n"},
		"-ERR after RETR":     {At: "RETR 2", Do: pop3test.Endless, Text: "-ERR\r\n"},
	} {
		t.Run(name, func(t *testing.T) {
			eachMode(t, 3, func(t *testing.T, h *fixture) {
				h.account.Deadline = time.Second
				h.server.SetFaults(f)
				h.growsLittle(func() {
					if _, err := h.visit(soon); err == nil {
						t.Error("no error")
					}
				})
				h.onlyWholeMessages()
				h.account.Deadline = 0
				h.converge(1, 2, 3)
			})
		})
	}
}

// An endless message takes no memory, whether it is one line, a header or many
// short lines. The poll ends at max_size if there is one, else at its deadline.
func TestEndlessMessageTakesNoMemory(t *testing.T) {
	kinds := map[string]string{
		"short lines":    strings.Repeat(strings.Repeat("x", 70)+"\r\n", 64),
		"one line":       strings.Repeat("x", 4096),
		"one header":     "Subject: " + strings.Repeat("x", 4096),
		"headers":        strings.Repeat("Subject: endless\r\n", 64),
		"stuffed dots":   strings.Repeat("..\r\n", 1024),
		"bare LF dots":   strings.Repeat("\n.\n", 1024),
		"CRs":            strings.Repeat("\r", 4096),
		"NULs":           strings.Repeat("\x00", 4096),
		"empty lines":    strings.Repeat("\r\n", 2048),
		"dots and no LF": strings.Repeat("\r\n.\r", 1024),
	}
	for name, octets := range kinds {
		f := pop3test.Fault{At: "RETR 2", Do: pop3test.Endless, After: pop3test.AfterStatus, Text: octets}
		t.Run(name+", max_size", func(t *testing.T) {
			eachMode(t, 3, func(t *testing.T, h *fixture) {
				h.account.Policy.MaxOctets = 1 << 20
				h.growsLittle(func() {
					r, _ := h.visitWith(fetch.Temporary, soon, f)
					if r.Delivered != 1 || r.Deleted != 0 || r.Octets > 2<<20 {
						t.Errorf("%+v", r)
					}
				})
				// It is recorded as too big; the others are fetched.
				h.visit(soon)
				h.delivered(1, 3)
				h.onServer("u2")
				h.account.Policy.MaxOctets = 0
				h.converge(1, 2, 3)
			})
		})
		t.Run(name+", deadline", func(t *testing.T) {
			// A slow machine needs more time for the first message.
			for deadline := 300 * time.Millisecond; ; deadline *= 4 {
				h := newFixture(t, 3, nil)
				h.account.Policy.Delete = true
				h.account.Deadline = deadline
				var r fetch.Report
				h.growsLittle(func() { r, _ = h.visitWith(fetch.Temporary, deadline+soon, f) })
				if r.Delivered == 0 && deadline < soon {
					continue
				}
				if r.Delivered != 1 || r.Deleted != 0 {
					t.Errorf("%+v", r)
				}
				h.account.Deadline = 0
				h.converge(1, 2, 3)
				return
			}
		})
	}
}
