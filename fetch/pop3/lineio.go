package pop3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"strconv"
	"strings"
)

// LevelTrace is the level of the wire trace: every line sent and received,
// secrets replaced.
const LevelTrace = slog.LevelDebug - 4

// Limits in octets without line ends. RFC 2449 section 4 allows servers 512; real
// ones send more.
const (
	bufferSize   = 32 << 10
	firstSize    = 4 << 10         // of the buffer until more than that is to come, see more
	maxStatus    = 2048            // greeting and status line
	maxListing   = 8192            // a line of a multi-line reply
	maxChallenge = bufferSize - 64 // a line with a SASL challenge: it has to fit the whole buffer
	maxDiscard   = 1 << 20         // a listing line that is skipped because it is too long
	maxShown     = 1024            // what an error or the trace shows of a line
)

// errLineTooLong says that a line is longer than its limit. Nothing of it has been
// taken from the buffer.
var errLineTooLong = errors.New("line too long")

// lineIO reads and traces lines and counts octets, inside TLS. It does not know what
// the lines mean.
type lineIO struct {
	r       *bufio.Reader
	conn    io.ReadWriter // the link, or TLS over it
	in, out int64         // octets
	log     *slog.Logger  // nil = no trace
	secrets secrets       // what no trace and no error may show
}

// Read counts what comes in; the buffered reader reads from here.
func (w *lineIO) Read(p []byte) (int, error) {
	n, err := w.conn.Read(p)
	w.in += int64(n)
	return n, err
}

func (w *lineIO) write(p []byte) error {
	n, err := w.conn.Write(p)
	w.out += int64(n)
	return err
}

// more gives the reader its whole buffer. Most sessions of many accounts find nothing new,
// and do with a small one. What is buffered stays so.
func (w *lineIO) more() {
	if w.r.Size() >= bufferSize {
		return
	}
	n := w.r.Buffered()
	buffered, _ := w.r.Peek(n)
	w.r = bufio.NewReaderSize(io.MultiReader(bytes.NewReader(buffered), w), bufferSize)
	_, _ = w.r.Peek(n) // nothing is buffered in two places
}

// line returns the next line without its end, valid until the next read. The end is
// CRLF or, because some servers forget the CR in replies, a bare LF; message bodies
// are not read here. The error is errLineTooLong as soon as the line is known to be
// longer than limit octets.
func (w *lineIO) line(limit int) ([]byte, error) {
	seen := 0
	for {
		buf, _ := w.r.Peek(w.r.Buffered())
		if i := bytes.IndexByte(buf[seen:], '\n'); i >= 0 {
			line := buf[:seen+i]
			line = bytes.TrimSuffix(line, []byte{'\r'})
			if len(line) > limit {
				return nil, errLineTooLong
			}
			w.r.Discard(seen + i + 1)
			return line, nil
		}
		// The last octet may be the CR of the line end.
		if seen = len(buf); seen > limit+1 {
			return nil, errLineTooLong
		}
		if seen == w.r.Size() {
			w.more()
		}
		if _, err := w.r.Peek(seen + 1); err != nil {
			return nil, err
		}
	}
}

// head returns the first line of what is buffered, for an error message.
func (w *lineIO) head() string {
	buf, _ := w.r.Peek(min(w.r.Buffered(), 4*maxShown))
	if i := bytes.IndexByte(buf, '\n'); i >= 0 {
		buf = bytes.TrimSuffix(buf[:i], []byte{'\r'})
	}
	return w.shown(buf)
}

// skipLine drops the rest of a line. After maxDiscard octets without a line end it
// returns errLineTooLong.
func (w *lineIO) skipLine() error {
	for skipped := 0; skipped <= maxDiscard; {
		buf, _ := w.r.Peek(w.r.Buffered())
		if i := bytes.IndexByte(buf, '\n'); i >= 0 {
			w.r.Discard(i + 1)
			return nil
		}
		skipped += len(buf)
		w.r.Discard(len(buf))
		if _, err := w.r.Peek(1); err != nil {
			return err
		}
	}
	return errLineTooLong
}

// tracing reports whether anybody sees the trace.
func (w *lineIO) tracing() bool {
	return w.log != nil && w.log.Enabled(context.Background(), LevelTrace)
}

// trace logs one line of a side, "C" or "S". The caller has put "***" where it
// sent a secret; what gives a known secret away all the same is not shown.
func (w *lineIO) trace(side, line string) {
	if w.tracing() {
		w.log.Log(context.Background(), LevelTrace, side+": "+escape(w.secrets.conceal(line)))
	}
}

func (w *lineIO) traceOctets(n int64) {
	if w.tracing() {
		w.trace("S", "… "+strconv.FormatInt(n, 10)+" octets")
	}
}

// escape returns s as one printable line of about maxShown characters at most.
func escape(s string) string {
	q := quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// quote is strconv.Quote of the first maxShown octets.
func quote(s string) string {
	if len(s) > maxShown {
		return strconv.Quote(s[:maxShown] + "...")
	}
	return strconv.Quote(s)
}

// shown returns what an error may show of a line, maxShown octets at most.
func (w *lineIO) shown(line []byte) string {
	s := w.secrets.conceal(string(line))
	return s[:min(len(s), maxShown)]
}
