package deliver

import (
	"bytes"
	"io"
)

// smallRead is the greatest length of a Read that goes through the buffer of an
// LFReader; a longer one is served in the caller's own memory.
const smallRead = 64

// Where a CR is nearer than shortLine octets, dropCR goes through shortRun of
// them one by one.
const (
	shortLine = 8
	shortRun  = 32
)

// maxEmptyReads is how often in a row the source may return neither octets nor
// an error.
const maxEmptyReads = 100

// LFReader turns the line ends of the wire (CRLF) into those of a stored message
// (LF). Nothing else is changed: a lone CR, a bare LF and a NUL pass, and of CR
// CR LF one CR stays. It needs no memory that grows with a line or a message.
type LFReader struct {
	src  io.Reader
	held bool  // a CR came last, and what follows it is not known yet
	err  error // what src returned last, given out once everything before it is
	rest []byte
	buf  [smallRead]byte
}

// NewLFReader returns a reader of r with LF line ends.
func NewLFReader(r io.Reader) *LFReader { return &LFReader{src: r} }

// Read implements io.Reader. Errors are those of the source.
func (f *LFReader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	if len(p) >= smallRead {
		if len(f.rest) == 0 {
			return f.fill(p)
		}
	} else if len(f.rest) == 0 {
		n, err := f.fill(f.buf[:])
		if n == 0 {
			return 0, err
		}
		f.rest = f.buf[:n]
	}
	n := copy(p, f.rest)
	f.rest = f.rest[n:]
	return n, nil
}

// fill reads into p, which has room for more than one octet, and converts there.
func (f *LFReader) fill(p []byte) (int, error) {
	for range maxEmptyReads {
		n := 0
		if f.held {
			p[0], n = '\r', 1
		}
		if f.err == nil {
			var got int
			got, f.err = f.src.Read(p[n:])
			if got == 0 && f.err == nil {
				continue
			}
			n += got
		}
		f.held = false
		n = dropCR(p[:n])
		if n > 0 && p[n-1] == '\r' && f.err == nil {
			f.held = true
			n--
		}
		if n > 0 {
			return n, nil
		}
		if f.err != nil {
			return 0, f.err
		}
	}
	return 0, io.ErrNoProgress
}

// dropCR removes in place every CR that stands before an LF and returns the
// length of what is left. To look for the next CR and to move what is before it
// is fast for lines of a usual length, and slow where it is done for a few octets.
func dropCR(p []byte) int {
	w, r := 0, 0 // p[:w] is done, p[r:] is still to do
	for {
		i := bytes.IndexByte(p[r:], '\r')
		if i < 0 {
			return w + move(p, w, r, len(p))
		}
		if i < shortLine {
			end := min(r+shortRun, len(p))
			w += pick(p, w, r, end)
			r = end
			continue
		}
		end, next := r+i, r+i+1
		if !isLineEnd(p, end) {
			end = next // this CR stays
		}
		w += move(p, w, r, end)
		r = next
	}
}

// isLineEnd says whether the CRLF of a line end is at p[i:].
func isLineEnd(p []byte, i int) bool {
	return p[i] == '\r' && i+1 < len(p) && p[i+1] == '\n'
}

// pick does octet by octet what dropCR does, for p[from:to], and returns the
// length of what it has put at p[at:].
func pick(p []byte, at, from, to int) int {
	w := at
	for r := from; r < to; r++ {
		if !isLineEnd(p, r) {
			p[w] = p[r]
			w++
		}
	}
	return w - at
}

// move copies p[from:to] down to p[at:] and returns its length.
func move(p []byte, at, from, to int) int {
	if at == from {
		return to - from
	}
	return copy(p[at:], p[from:to])
}
