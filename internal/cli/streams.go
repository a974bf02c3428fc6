package cli

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"syscall"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// dataStream is standard output. It remembers the first write error, so that
// the run can report missing data once the mail has been taken care of.
type dataStream struct {
	w   io.Writer
	err error
}

func (d *dataStream) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	// A reader that closes the pipe, as head does, has read enough.
	if err != nil && d.err == nil && !errors.Is(err, syscall.EPIPE) {
		d.err = fmt.Errorf("standard output: %w", err)
	}
	return n, err
}

// encode writes v as one line of JSON.
func encode(w io.Writer, v any) error { return json.NewEncoder(plainJSON{w}).Encode(v) }

// plainJSON passes lines of JSON on with every non-printable character escaped.
// JSON itself requires that only below U+0020, but a terminal obeys others too.
// Outside of strings JSON has none of them. Each Write holds whole lines.
type plainJSON struct{ w io.Writer }

func (j plainJSON) Write(p []byte) (int, error) {
	plain := make([]byte, 0, len(p))
	for _, r := range string(p) {
		switch {
		case r == '\n' || unicode.IsGraphic(r):
			plain = utf8.AppendRune(plain, r)
		case r > 0xffff: // RFC 8259 section 7
			high, low := utf16.EncodeRune(r)
			plain = fmt.Appendf(plain, "\\u%04x\\u%04x", high, low)
		default:
			plain = fmt.Appendf(plain, "\\u%04x", r)
		}
	}
	if _, err := j.w.Write(plain); err != nil {
		return 0, err
	}
	return len(p), nil
}

// timestamped puts the time before each line. Each Write holds one line.
type timestamped struct{ w io.Writer }

func (s timestamped) Write(p []byte) (int, error) {
	if _, err := s.w.Write(append([]byte(time.Now().Format("2006-01-02 15:04:05 ")), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// printable escapes everything in s that a terminal might obey. Servers,
// certificates and programs have a say in what errors contain.
func printable(s string) string {
	escaped := make([]byte, 0, len(s))
	for _, r := range s {
		if unicode.IsGraphic(r) {
			escaped = utf8.AppendRune(escaped, r)
			continue
		}
		quoted := strconv.QuoteRune(r)
		escaped = append(escaped, quoted[1:len(quoted)-1]...)
	}
	return string(escaped)
}

// quoteUnlessPlain returns s unchanged if a terminal can show all of it; otherwise
// quoted, with what a terminal cannot show escaped.
func quoteUnlessPlain(s string) string {
	quoted := strconv.QuoteToGraphic(s)
	if quoted[1:len(quoted)-1] == s {
		return s
	}
	return quoted
}
