package simulate

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"strings"

	"popfetch/fetch/plan"
	"popfetch/fetch/pop3/pop3test"
)

// mark begins the line of a body that tells which mail it is. Servers that change the
// header block leave it alone, and copies of one mail share it.
const mark = "mail-"

const markLen = len(mark) + 8

// markOf returns the mark in the octets of a message.
func markOf(octets []byte) string {
	i := bytes.LastIndex(octets, []byte(mark))
	if i < 0 || len(octets) < i+markLen {
		return ""
	}
	return string(octets[i : i+markLen])
}

// kind is a kind of message.
type kind int

const (
	ordinary          kind = iota // Message-ID and Received
	withoutMessageID              // Received alone
	withoutReceived               // Message-ID alone
	machine                       // neither; all have the same header block
	machineWithDate               // neither
	withoutIdentity               // no field that a fingerprint is made of
	withoutIdentities             // as well; all have the same header block
	kinds
)

// compose returns the nth mail.
func compose(r *rand.Rand, k kind, n int, large bool) []byte {
	var b strings.Builder
	field := func(format string, args ...any) { fmt.Fprintf(&b, format+"\r\n", args...) }
	if k == ordinary || k == withoutMessageID {
		field("Received: from a.example by b.example id %d;\r\n\tMon, 2 Jan 2006 15:%02d:05 +0000", n, n%60)
	}
	if k == ordinary || k == withoutReceived {
		field("Message-ID: <%d@example.org>", n)
	}
	switch k {
	case ordinary, withoutMessageID, withoutReceived, machineWithDate:
		field("Date: Mon, 2 Jan 2006 15:%02d:%02d +0000", n/60%60, n%60)
		field("From: sender%d@example.org", n%7)
		field("Subject: about %d", n%5)
	case machine:
		field("From: machine@example.org")
		field("Subject: report")
	case withoutIdentity:
		field("X-Report: %d", n)
	case withoutIdentities:
		field("X-Report: daily")
	}
	field("")
	if r.IntN(2) == 0 {
		field("%s", strings.Repeat("x", r.IntN(60)))
	}
	if large {
		for range 600 {
			field("%s", strings.Repeat("large ", 10))
		}
	}
	field("%s%08d", mark, n)
	return []byte(b.String())
}

// send brings mail into the maildrop: a new one, or a copy of one.
func (w *world) send() {
	w.made++
	uid := ""
	if w.feature.twins && w.chance(.05) {
		if held := w.drop.Messages(); len(held) > 0 {
			uid = held[w.r.IntN(len(held))].UID
		}
	}
	if held := w.drop.Messages(); w.feature.copies && len(held) > 0 && w.chance(.06) {
		w.add("", held[w.r.IntN(len(held))].Raw)
		return
	}
	if held := w.drop.Messages(); w.feature.namesakes && len(held) > 0 && w.more.IntN(8) == 0 {
		if raw := held[w.more.IntN(len(held))].Raw; !isWeak(raw) {
			w.add("", namesake(raw, w.made))
			return
		}
	}
	k := ordinary
	if w.feature.oddMail {
		k = kind(w.r.IntN(int(kinds)))
	}
	if k >= withoutIdentity && w.server.Habits.Restamp {
		// Nothing tells such a message from another one once its header block changes.
		k = machine
	}
	w.add(uid, compose(w.r, k, w.made, w.feature.large && w.chance(.05)))
}

// isWeak reports whether a message has neither Message-ID nor Received.
func isWeak(raw []byte) bool {
	d := plan.NewIdentifier()
	d.Write(raw)
	return d.Identity().Weak
}

// namesake returns the nth mail, with the header block of another one.
func namesake(of []byte, n int) []byte {
	header, _, _ := bytes.Cut(of, []byte("\r\n\r\n"))
	return fmt.Appendf(nil, "%s\r\n\r\n%s%08d\r\n", header, mark, n)
}

func (w *world) add(uid string, raw []byte) {
	w.drop.Add(pop3test.Message{UID: uid, Raw: raw})
	w.logf("mail %s arrives", markOf(raw))
}
