//go:build linux

package cli_test

import (
	"bufio"
	"bytes"
	"encoding/base64"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// mailbag is messages with LF line ends, and how many copies there are of each.
type mailbag map[string]int

func (b mailbag) count() (n int) {
	for _, copies := range b {
		n += copies
	}
	return n
}

// sameMail compares what was delivered with what the server held, octet by octet.
func sameMail(t *testing.T, where string, got, want mailbag) {
	t.Helper()
	const most = 5
	bad := 0
	complain := func(text, what string, n, expected int) {
		t.Helper()
		if bad++; bad <= most {
			t.Errorf("%s: %s, %d octets: %s: %d times, want %d", where, messageID(text), len(text), what, n, expected)
		}
	}
	for text, n := range want {
		if got[text] != n {
			complain(text, "as the server has it", got[text], n)
		}
	}
	for text, n := range got {
		if want[text] == 0 {
			complain(text, "as the server does not have it", n, 0)
		}
	}
	if bad > most {
		t.Errorf("%s: and %d more", where, bad-most)
	}
}

func messageID(text string) string {
	_, rest, _ := strings.Cut(text, "Message-ID: ")
	id, _, _ := strings.Cut(rest, "\n")
	return strings.TrimSpace(id)
}

// fill puts n messages into the Maildir of a user of the server, the same ones
// for the same user at any time.
func (d *dovecot) fill(t *testing.T, user string, n int) {
	t.Helper()
	_, err := d.AddUser(user)
	must(t, err)
	for i := range n {
		must(t, d.Deliver(user, fmt.Sprintf("%d.M%dP1.server", 1700000000+i, i), compose(user, i)))
	}
}

// deliver puts messages into the Maildir of a user of the server.
func (d *dovecot) deliver(t *testing.T, user string, texts ...string) {
	t.Helper()
	_, err := d.AddUser(user)
	must(t, err)
	for i, text := range texts {
		must(t, d.Deliver(user, fmt.Sprintf("%d.M%dP1.server", 1700000000+i, i), []byte(text)))
	}
}

// compose writes the message number i of a user: 1 KiB to 20 KiB, a few of them
// up to 2 MiB, and some with what makes POP3 and mail stores stumble.
func compose(user string, i int) []byte {
	seed := uint64(len(user))
	for _, c := range []byte(user) {
		seed = seed*131 + uint64(c)
	}
	r := rand.New(rand.NewPCG(seed, uint64(i)))
	var b bytes.Buffer
	fmt.Fprintf(&b, "Received: from mx%d.example.net (mx%d.example.net [192.0.2.%d])\n\tby mail.example.org with ESMTPS id %08X;\n\tMon, 13 Jul 2026 %02d:%02d:00 +0200\n",
		i%7, i%7, i%250, r.Uint32(), i%24, i%60)
	fmt.Fprintf(&b, "From: =?UTF-8?Q?Ren=C3=A9e?= <sender%d@example.net>\nTo: %s\nSubject: message %d\nMessage-ID: <%d.%s>\n", i%40, user, i, i, user)
	octets := 1<<10 + r.IntN(7<<10)
	switch {
	case i%500 == 499:
		octets = 2 << 20
	case i%50 == 49:
		octets = 100 << 10
	case i%10 == 9:
		octets = 20 << 10
	}
	bodies := []func(*bytes.Buffer, *rand.Rand, int){writeText, writeDots, writeLong, writeAttachment, writeAlmostRepeated}
	bodies[i%len(bodies)](&b, r, octets)
	switch i % 11 {
	case 3: // stored with the line ends of the wire
		return bytes.ReplaceAll(b.Bytes(), []byte("\n"), []byte("\r\n"))
	case 7: // the last line has no end
		return bytes.TrimRight(b.Bytes(), "\n")
	}
	return b.Bytes()
}

// writeText writes 8-bit text, with lone CRs and lines that look like those of an mbox.
func writeText(b *bytes.Buffer, r *rand.Rand, octets int) {
	b.WriteString("Content-Type: text/plain; charset=iso-8859-1\nContent-Transfer-Encoding: 8bit\n\n")
	for end := b.Len() + octets; b.Len() < end; {
		switch r.IntN(20) {
		case 0:
			b.WriteString("From here it goes on\n")
		case 1:
			b.WriteString("a lone \r in the middle, two at the end\r\r\n")
		default:
			fmt.Fprintf(b, "Gr\xfc\xdfe aus K\xf6ln, %d\n", r.Uint32())
		}
	}
}

// writeDots writes lines that begin with dots, or are nothing else.
func writeDots(b *bytes.Buffer, r *rand.Rand, octets int) {
	b.WriteString("Content-Type: text/plain\n\n.\n..\n")
	for end := b.Len() + octets; b.Len() < end; {
		fmt.Fprintf(b, "%s%s\n", strings.Repeat(".", r.IntN(4)), []string{"", "", "+OK", "text", "\t"}[r.IntN(5)])
	}
	b.WriteString(".\n\n\n")
}

// writeLong writes lines that are longer than any standard allows.
func writeLong(b *bytes.Buffer, r *rand.Rand, octets int) {
	b.WriteString("Content-Type: text/html\n\n")
	for end := b.Len() + octets; b.Len() < end; {
		for range r.IntN(4000) {
			b.WriteByte(byte('!' + r.IntN(94)))
		}
		b.WriteString("\n.")
	}
}

// writeAttachment writes MIME parts with an empty epilogue.
func writeAttachment(b *bytes.Buffer, r *rand.Rand, octets int) {
	b.WriteString("MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary=\"=-part\"\n\n--=-part\nContent-Type: text/plain\n\nSee below.\n" +
		"--=-part\nContent-Type: application/octet-stream\nContent-Transfer-Encoding: base64\n\n")
	line := make([]byte, 57)
	for end := b.Len() + octets; b.Len() < end; {
		for i := range line {
			line[i] = byte(r.Uint32())
		}
		b.WriteString(base64.StdEncoding.EncodeToString(line) + "\n")
	}
	b.WriteString("--=-part--\n")
}

// writeAlmostRepeated writes what messages of a machine look like: all the same but for
// a number in the header.
func writeAlmostRepeated(b *bytes.Buffer, _ *rand.Rand, octets int) {
	b.WriteString("\n" + strings.Repeat("all is well\n", octets/12+1))
}

// holds fetches what a user has on the server, over its own connection and with its own
// decoder.
func (d *dovecot) holds(t *testing.T, user string) mailbag {
	t.Helper()
	conn, err := net.DialTimeout("tcp", d.POP3, 10*time.Second)
	must(t, err)
	defer conn.Close()
	must(t, conn.SetDeadline(time.Now().Add(time.Minute)))
	r := bufio.NewReader(conn)
	line := func() string {
		text, err := r.ReadString('\n')
		must(t, err)
		return text
	}
	ask := func(format string, args ...any) string {
		if format != "" {
			fmt.Fprintf(conn, format+"\r\n", args...)
		}
		reply := line()
		if !strings.HasPrefix(reply, "+OK") {
			t.Fatalf("%s: %s: %q", user, format, reply)
		}
		return reply
	}
	ask("")
	ask("USER %s", user)
	ask("PASS %s", password)
	var n, octets int
	_, err = fmt.Sscanf(ask("STAT"), "+OK %d %d", &n, &octets)
	must(t, err)
	held := make(mailbag)
	for i := range n {
		ask("RETR %d", i+1)
		var text strings.Builder
		for {
			got := line()
			if got == ".\r\n" {
				break
			}
			got = strings.TrimPrefix(got, ".")
			text.WriteString(strings.TrimSuffix(got, "\r\n") + "\n")
		}
		held[text.String()]++
	}
	ask("QUIT")
	return held
}

// inMaildir reads the messages of a Maildir. With a stamp each has to have its
// own Received field at the top, which is taken off.
func inMaildir(t *testing.T, dir string, stamp *regexp.Regexp) mailbag {
	t.Helper()
	if left := entries(t, filepath.Join(dir, "tmp")); len(left) > 0 {
		t.Errorf("%s: tmp still has %d files: %q", dir, len(left), left[0])
	}
	got := make(mailbag)
	for _, sub := range []string{"new", "cur"} {
		for _, name := range entries(t, filepath.Join(dir, sub)) {
			text, err := os.ReadFile(filepath.Join(dir, sub, name))
			must(t, err)
			if stamp != nil {
				at := stamp.FindIndex(text)
				if at == nil {
					t.Fatalf("%s/%s: no stamp %s:\n%.300s", sub, name, stamp, text)
				}
				text = text[at[1]:]
			}
			got[string(text)]++
		}
	}
	return got
}

// stampOf matches the Received field of a message that came over protocol.
func stampOf(protocol string) *regexp.Regexp {
	return regexp.MustCompile(`\AReceived: from \[127\.0\.0\.1\] \(account [a-z0-9]+\)\n\tby .+ with ` + protocol + ` id [0-9a-f]+\n\tfor <.+>; .+\n`)
}

func entries(t *testing.T, dir string) []string {
	t.Helper()
	list, err := os.ReadDir(dir)
	must(t, err)
	names := make([]string, len(list))
	for i, e := range list {
		names[i] = e.Name()
	}
	return names
}
