package mailbox

import (
	"bytes"
	"io"
	"net/mail"
	"strings"
	"time"

	"popfetch/deliver"
)

// instead takes the place of a NUL, which IMAP cannot carry (RFC 9051 section 4.3). Dovecot
// does the same with a NUL that it finds in a message.
const instead = 0x80

// textReader makes a message fit for IMAP: a bare LF becomes CRLF and a NUL the octet 0x80.
// A message without any octet becomes one empty line, because a server may take an empty
// literal for a message that is given up (RFC 3502 section 6.3.11). It changes nothing else.
type textReader struct {
	src io.Reader
	buf []byte
	out []byte // what is to be read yet
	cr  bool   // the last octet was a CR
	any bool   // there was an octet
	err error  // of src, after out
}

func newTextReader(src io.Reader) *textReader {
	return &textReader{src: src, buf: make([]byte, 16<<10)}
}

// Read implements io.Reader. Errors are those of the source.
func (t *textReader) Read(p []byte) (int, error) {
	for len(t.out) == 0 && t.err == nil {
		var n int
		n, t.err = t.src.Read(t.buf)
		t.out = t.convert(t.buf[:n])
		t.any = t.any || n > 0
		if t.err == io.EOF && !t.any {
			t.out = []byte("\r\n")
		}
	}
	if len(t.out) == 0 {
		return 0, t.err
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// convert converts in. The result may be in its memory.
func (t *textReader) convert(in []byte) []byte {
	for i := bytes.IndexByte(in, 0); i >= 0; i = bytes.IndexByte(in, 0) {
		in[i] = instead
	}
	bare := 0
	for i, c := range in {
		if c == '\n' && !(i > 0 && in[i-1] == '\r' || i == 0 && t.cr) {
			bare++
		}
	}
	if bare > 0 {
		out := make([]byte, 0, len(in)+bare)
		cr := t.cr
		for _, c := range in {
			if c == '\n' && !cr {
				out = append(out, '\r')
			}
			out = append(out, c)
			cr = c == '\r'
		}
		t.cr = cr
		return out
	}
	if len(in) > 0 {
		t.cr = in[len(in)-1] == '\r'
	}
	return in
}

// isSpam reports whether the filter of the source has marked a message: X-Spam-Flag or
// X-Spam (rspamd) is YES, or X-Spam-Status (SpamAssassin) begins with it.
func isSpam(head []byte) bool {
	for name, value := range deliver.Fields(head) {
		switch strings.ToLower(name) {
		case "x-spam-flag", "x-spam":
			if strings.EqualFold(value, "yes") {
				return true
			}
		case "x-spam-status":
			word, _, _ := strings.Cut(value, ",")
			if strings.EqualFold(strings.TrimSpace(word), "yes") {
				return true
			}
		}
	}
	return false
}

// internalDate returns the date of a message: that of its Date field, else of the latest
// Received field that is not popfetch's own, else when the POP3 server sent it. A date
// before 1980 or more than a day ahead of now is a mistake.
func internalDate(head []byte, sent, now time.Time) time.Time {
	plausible := func(text string) (time.Time, bool) {
		t, err := mail.ParseDate(strings.TrimSpace(text))
		return t, err == nil && t.Year() >= 1980 && t.Before(now.Add(24*time.Hour))
	}
	var received time.Time
	for name, value := range deliver.Fields(head) {
		switch strings.ToLower(name) {
		case "date":
			if t, ok := plausible(value); ok {
				return t
			}
		case "received":
			i := strings.LastIndexByte(value, ';')
			if i < 0 || !received.IsZero() || strings.Contains(value, "(popfetch ") {
				continue
			}
			if t, ok := plausible(value[i+1:]); ok {
				received = t
			}
		}
	}
	if !received.IsZero() {
		return received
	}
	if sent.IsZero() {
		return now
	}
	return sent
}
