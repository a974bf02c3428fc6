package deliver

import (
	"bytes"
	"io"
)

// smallRead is the length in octets from which on a Read of an LFReader converts in the
// caller's memory. A shorter one goes through the buffer of the LFReader.
const smallRead = 64

// When a CR is less than shortLine octets away, dropCR handles the next shortRun octets
// one by one.
const (
	shortLine = 8
	shortRun  = 32
)

// maxEmptyReads is how often in a row the source may return neither octets nor an error
// before a Read fails with io.ErrNoProgress.
const maxEmptyReads = 100

// LFReader turns the line ends of the wire (CRLF) into those of a stored message (LF).
// It changes nothing else: a lone CR, a bare LF and a NUL pass, and CR CR LF becomes
// CR LF. Its memory does not grow with a line or a message.
type LFReader struct {
	src  io.Reader
	held bool   // a CR came last; it goes out when the next octet is known
	err  error  // of src; returned after all octets before it
	rest []byte // part of buf that is still to be read
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

// fill reads into p, which is longer than one octet, and converts it there.
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

// dropCR removes in place each CR before an LF and returns the length of the rest.
// Searching for the next CR and moving the octets before it is fast for lines of usual
// length but slow for very short ones, which dropCRShort handles.
func dropCR(p []byte) int {
	w, r := 0, 0 // p[:w] is done, p[r:] is still to do
	for {
		i := bytes.IndexByte(p[r:], '\r')
		if i < 0 {
			return w + move(p, w, r, len(p))
		}
		if i < shortLine {
			end := min(r+shortRun, len(p))
			w += dropCRShort(p, w, r, end)
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

// isLineEnd reports whether p[i:] begins with CRLF.
func isLineEnd(p []byte, i int) bool {
	return p[i] == '\r' && i+1 < len(p) && p[i+1] == '\n'
}

// dropCRShort is dropCR for p[from:to], octet by octet. It moves the result to p[at:]
// and returns its length.
func dropCRShort(p []byte, at, from, to int) int {
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
