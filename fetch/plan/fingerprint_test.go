package plan

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const sample = "Received: from mx.example.net by pop.example.org; Thu, 1 Jan 2026 10:00:01 +0000\r\n" +
	"Received: from a.example.com\r\n\tby mx.example.net; Thu, 1 Jan 2026 10:00:00 +0000\r\n" +
	"From: Ann <ann@example.com>\r\nTo: bob@example.org\r\nSubject: a walk\r\n\tin the park\r\n" +
	"Date: Thu, 1 Jan 2026 10:00:00 +0000\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\n\r\nHello\r\n"

func identify(message string) Identity {
	d := NewIdentifier()
	d.Write([]byte(message))
	return d.Identity()
}

func TestFingerprintStaysWhatServersAndFiltersDo(t *testing.T) {
	want := identify(sample)
	for name, message := range map[string]string{
		"Status is added":             strings.Replace(sample, "MIME-Version", "Status: RO\r\nX-UID: 17\r\nMIME-Version", 1),
		"a filter stamps":             "X-Scanned: yes\r\n" + sample,
		"the fields are folded again": strings.ReplaceAll(sample, "\r\n\t", " "),
		"LF line ends":                strings.ReplaceAll(sample, "\r\n", "\n"),
		"another case of the names":   strings.NewReplacer("Message-ID", "Message-Id", "Subject", "SUBJECT").Replace(sample),
		"another order of the fields": reorder(sample),
		"a footer in the body":        sample + "-- \r\nsent to you by the list\r\n",
		"an mbox line in front":       "From ann@example.com Thu Jan  1 10:00:00 2026\r\n" + sample,
		"only the header block":       sample[:strings.Index(sample, "Hello")],
		"a header block without end":  sample[:strings.Index(sample, "\r\nHello")],
		"white space before a colon":  strings.Replace(sample, "Date:", "Date :", 1),
	} {
		if got := identify(message); got.Fingerprint != want.Fingerprint {
			t.Errorf("%s: another fingerprint", name)
		}
	}
}

// reorder moves the field To to the end of the header block of sample.
func reorder(message string) string {
	const to = "To: bob@example.org\r\n"
	message = strings.Replace(message, to, "", 1)
	return strings.Replace(message, "MIME-Version", to+"MIME-Version", 1)
}

func TestFingerprintOfAnotherMessageDiffers(t *testing.T) {
	want := identify(sample)
	for name, message := range map[string]string{
		"Message-ID":          strings.Replace(sample, "<1@", "<2@", 1),
		"Date":                strings.Replace(sample, "10:00:00 +0000\r\nMessage", "10:00:09 +0000\r\nMessage", 1),
		"From":                strings.Replace(sample, "Ann", "Eve", 1),
		"To":                  strings.Replace(sample, "bob@", "eve@", 1),
		"Subject":             strings.Replace(sample, "park", "dark", 1),
		"a Received field":    strings.Replace(sample, "mx.example.net by", "mx2.example.net by", 1),
		"one Received more":   "Received: from x by y; Thu, 1 Jan 2026 10:00:02 +0000\r\n" + sample,
		"one Received less":   sample[strings.Index(sample, "Received: from a."):],
		"a value in the next": strings.Replace(sample, "a walk\r\n\tin", "a walk\r\nX: in", 1),
	} {
		if got := identify(message); got.Fingerprint == want.Fingerprint {
			t.Errorf("%s: the same fingerprint", name)
		}
	}
}

func TestMessageWithoutIdentityFieldsIsToldByItsOtherFields(t *testing.T) {
	a := identify("X-Report: disk\r\nStatus: O\r\n\r\nfull\r\n")
	if b := identify("X-Report: disk\r\nStatus: RO\r\nX-UID: 9\r\n\r\nfull\r\n"); a != (Identity{b.Fingerprint, b.Body, b.Weak, a.Block, true}) {
		t.Error("status fields make another message")
	}
	if b := identify("Return-Path: <a@example.com>\r\nDelivered-To: b\r\nX-Report: disk\r\n\r\nfull\r\n"); a.Fingerprint != b.Fingerprint {
		t.Error("fields of a delivery make another message")
	}
	if b := identify("X-Report: memory\r\nStatus: O\r\n\r\nfull\r\n"); a.Fingerprint == b.Fingerprint {
		t.Error("another field makes no other message")
	}
}

func TestWeakFingerprintComesWithTheDigestOfTheBody(t *testing.T) {
	a := identify("Subject: report\r\n\r\nall is well\r\n")
	b := identify("Subject: report\r\n\r\ndisk full\r\n")
	if !a.Weak || a.Fingerprint != b.Fingerprint || a.Body == b.Body {
		t.Errorf("two reports: %+v, %+v; want one weak fingerprint and two bodies", a, b)
	}
	if c := identify("Subject: report\n\nall is well\n"); a.Body != c.Body {
		t.Error("the line ends change the digest of the body")
	}
	for _, strong := range []string{"Message-ID: <1@x>\r\n\r\nx", "Received: from a by b; now\r\n\r\nx"} {
		if identify(strong).Weak {
			t.Errorf("%q counts as weak", strong)
		}
	}
	if id := identify("Message-ID:\r\nReceived: \r\n\r\nx"); !id.Weak {
		t.Error("a Message-ID without a value counts")
	}
	if id := identify(sample); id.Weak || id.Body == identify(sample+"more").Body {
		t.Error("the body of a message with a Message-ID was not digested")
	}
}

func TestFingerprintBeneathTheStampOfAFetcher(t *testing.T) {
	d := NewIdentifier()
	d.Write([]byte("Return-Path: <ann@example.com>\nDelivered-To: bob\nReceived: from pop by here; Thu, 1 Jan 2026 11:00:00 +0000\n" + sample))
	if beneath := d.Beneath(4); len(beneath) != 3 || beneath[0] != identify(sample).Fingerprint {
		t.Error("the stamped message is not recognised with its first Received field left aside")
	}
}

func TestIdentityOfEmptyAndOddMessages(t *testing.T) {
	empty := identify("")
	if !empty.Weak || empty.Fingerprint == (Fingerprint{}) {
		t.Errorf("empty message: %+v", empty)
	}
	if b := identify("\r\nno header\r\n"); b.Fingerprint != empty.Fingerprint || b.Body == empty.Body {
		t.Error("a message without a header block is not told from an empty one by its body alone")
	}
	long := "X-Long: " + strings.Repeat("x", maxHeader) + "\r\nMessage-ID: <late@example.com>\r\n\r\nbody"
	if !identify(long).Weak {
		t.Error("a field beyond the limit counts")
	}
}

func TestBlockIsTheDigestOfTheRawHeaderBlock(t *testing.T) {
	end := strings.Index(sample, "Hello")
	if want := sha256.Sum256([]byte(sample[:end])); !bytes.Equal(want[:16], blockOf(sample)) {
		t.Error("not the digest of the octets up to and including the empty line")
	}
}

func blockOf(message string) []byte { id := identify(message); return id.Block[:] }

// FuzzIdentity checks that neither the sizes of the writes nor the kind of line ends
// change an identity.
func FuzzIdentity(f *testing.F) {
	f.Add([]byte(sample), uint(7))
	f.Add([]byte("\r\n\r\n"), uint(1))
	f.Add([]byte("A:\n b\n\n\n"), uint(2))
	f.Add([]byte("a: b\r\n\r"), uint(3))
	f.Fuzz(func(t *testing.T, message []byte, step uint) {
		whole := identify(string(message))
		parts := NewIdentifier()
		for rest := message; len(rest) > 0; {
			n := min(len(rest), int(step%97)+1)
			parts.Write(rest[:n])
			rest = rest[n:]
		}
		if got := parts.Identity(); got != whole {
			t.Errorf("in parts of %d octets: %+v, whole: %+v", step%97+1, got, whole)
		}
		if bytes.IndexByte(message, '\r') < 0 && len(message) < maxHeader/2 {
			wire := identify(strings.ReplaceAll(string(message), "\n", "\r\n"))
			if wire.Fingerprint != whole.Fingerprint || wire.Body != whole.Body || wire.Weak != whole.Weak {
				t.Error("CRLF line ends make another message")
			}
		}
	})
}

// ordinaryHeader is a header block of 4 KiB, as messages have that passed a few hosts.
func ordinaryHeader() string {
	var b strings.Builder
	for i := range 5 {
		fmt.Fprintf(&b, "Received: from host%d.example.org (host%[1]d.example.org [192.0.2.%[1]d])\r\n\tby mx.example.net (Postfix) with ESMTPS id 4%[1]dABCDEF\r\n\tfor <me@example.net>; Mon, 2 Feb 2026 10:00:0%[1]d +0000 (UTC)\r\n", i)
	}
	b.WriteString("From: somebody@example.org\r\nTo: me@example.net\r\nSubject: an ordinary message\r\nMessage-ID: <1@example.org>\r\n")
	for i := range 20 {
		fmt.Fprintf(&b, "X-Field-%d: %s\r\n", i, strings.Repeat("v", 120))
	}
	b.WriteString("\r\n")
	return b.String()
}

// What is received passes through an Identifier, so a line of a body costs no allocation.
func TestLineOfABodyCostsNoAllocation(t *testing.T) {
	for name, header := range map[string]string{"with Message-ID": ordinaryHeader(), "without": "Subject: x\r\n\r\n"} {
		allocations := func(lines int) float64 {
			m := []byte(header + strings.Repeat("a line\r\n", lines))
			return testing.AllocsPerRun(10, func() {
				d := NewIdentifier()
				for part := range slices.Chunk(m, 32<<10) {
					d.Write(part)
				}
				d.Identity()
			})
		}
		if few, many := allocations(10), allocations(100_000); many > few {
			t.Errorf("%s: %v allocations for 10 lines, %v for 100,000", name, few, many)
		}
	}
}

func BenchmarkIdentity(b *testing.B) {
	for name, header := range map[string]string{"with Message-ID": ordinaryHeader(), "without": "Subject: x\r\n\r\n"} {
		for _, lines := range []int{0, 100, 100_000} {
			b.Run(fmt.Sprintf("%s/%d lines", name, lines), func(b *testing.B) {
				message := []byte(header + strings.Repeat("a line of the usual length, which is some seventy octets or so long\r\n", lines))
				b.SetBytes(int64(len(message)))
				b.ReportAllocs()
				for b.Loop() {
					d := NewIdentifier()
					d.Write(message)
					d.Identity()
				}
			})
		}
	}
}

func TestManualNamesTheFieldsOfAFingerprint(t *testing.T) {
	manual, err := os.ReadFile("../../man/popfetch.7")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(manual), ".Ss The fingerprint\n")
	section, _, _ = strings.Cut(section, ".Ss ")
	section = strings.ToLower(strings.ReplaceAll(section, `\&`, ""))
	rest := section
	for _, name := range identityFields {
		found := false
		if _, rest, found = strings.Cut(rest, ".ql "+name+" "); !found {
			t.Errorf("%s is missing, or in another order", name)
		}
	}
	for _, name := range statusFields {
		if !regexp.MustCompile(`\b` + name + `\b`).MatchString(section) {
			t.Errorf("%s is missing", name)
		}
	}
	if limit := fmt.Sprint(maxHeader>>10, " kib"); !strings.Contains(section, limit) {
		t.Errorf("the limit of %s is missing", limit)
	}
}
