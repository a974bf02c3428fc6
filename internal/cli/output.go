package cli

import (
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"
	"time"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// data is standard output. It remembers the first error: who asked for data has to
// hear that some is missing, after the mail was cared for.
type data struct {
	w   io.Writer
	err error
}

func (d *data) Write(p []byte) (int, error) {
	n, err := d.w.Write(p)
	// Who closes a pipe, as head does, has read enough.
	if err != nil && d.err == nil && !errors.Is(err, syscall.EPIPE) {
		d.err = fmt.Errorf("standard output: %w", err)
	}
	return n, err
}

// plainJSON takes lines of JSON and passes them on with every character escaped that
// a terminal might obey: JSON itself asks for that below U+0020 only. Outside of strings
// JSON has none of them. A line comes in one Write.
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

// stamped puts the time before each line. A line comes in one Write.
type stamped struct{ w io.Writer }

func (s stamped) Write(p []byte) (int, error) {
	if _, err := s.w.Write(append([]byte(time.Now().Format("2006-01-02 15:04:05 ")), p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// hasClock says whether whoever reads the words of a daemon notes the time
// himself: the journal does (systemd.exec(5)).
func hasClock() bool { return os.Getenv("JOURNAL_STREAM") != "" }
