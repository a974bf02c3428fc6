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

// Limits in octets, line ends not counted. RFC 2449 section 4 allows servers
// 512; real ones say more.
const (
	bufferSize   = 32 << 10
	maxStatus    = 2048            // greeting and status line
	maxListing   = 8192            // line of a multi-line reply
	maxChallenge = bufferSize - 64 // SASL challenge line: it has to fit the buffer
	maxDiscard   = 1 << 20         // what is read of a listing line before the server is given up
	maxShown     = 1024            // of a line in an error or in the trace
)

// errLineTooLong: nothing of the line has been taken from the buffer.
var errLineTooLong = errors.New("line too long")

// wire carries lines and counts octets, inside TLS. It does not know what the
// lines mean.
type wire struct {
	r       *bufio.Reader
	conn    io.ReadWriter // link or TLS over it
	in, out int64         // octets
	log     *slog.Logger  // nil = no trace
	secrets secrets       // what no trace and no error may show
}

// Read counts what comes in; the buffered reader reads from here.
func (w *wire) Read(p []byte) (int, error) {
	n, err := w.conn.Read(p)
	w.in += int64(n)
	return n, err
}

func (w *wire) write(p []byte) error {
	n, err := w.conn.Write(p)
	w.out += int64(n)
	return err
}

// line returns the next line without its end, CRLF or a bare LF (lenient:
// some servers forget the CR in replies; a message body is not read here). It
// is valid until the next read. A line of more than limit octets is
// errLineTooLong as soon as that is sure.
func (w *wire) line(limit int) ([]byte, error) {
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
		if _, err := w.r.Peek(seen + 1); err != nil {
			return nil, err
		}
	}
}

// head returns a copy of what is buffered, for an error message.
func (w *wire) head() string {
	buf, _ := w.r.Peek(min(w.r.Buffered(), 4*maxShown))
	if i := bytes.IndexByte(buf, '\n'); i >= 0 {
		buf = bytes.TrimSuffix(buf[:i], []byte{'\r'})
	}
	return w.shown(buf)
}

// skipLine throws away the rest of a line. After maxDiscard octets without an
// end it gives up with errLineTooLong.
func (w *wire) skipLine() error {
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

// tracing says whether a trace line would be seen at all.
func (w *wire) tracing() bool {
	return w.log != nil && w.log.Enabled(context.Background(), LevelTrace)
}

// trace logs one line of a side, "C" or "S". The caller has put "***" where it
// sent a secret; what gives a known secret away all the same is not shown.
func (w *wire) trace(side, line string) {
	if w.tracing() {
		w.log.Log(context.Background(), LevelTrace, side+": "+escape(w.secrets.conceal(line)))
	}
}

func (w *wire) traceOctets(n int64) {
	if w.tracing() {
		w.trace("S", "… "+strconv.FormatInt(n, 10)+" octets")
	}
}

// escape makes one printable line of at most about maxShown characters of it.
func escape(s string) string {
	q := quote(s)
	return strings.ReplaceAll(q[1:len(q)-1], `\"`, `"`)
}

// quote is strconv.Quote, bounded.
func quote(s string) string {
	if len(s) > maxShown {
		return strconv.Quote(s[:maxShown] + "...")
	}
	return strconv.Quote(s)
}

// shown returns what an error may show of a line.
func (w *wire) shown(line []byte) string {
	s := w.secrets.conceal(string(line))
	return s[:min(len(s), maxShown)]
}
