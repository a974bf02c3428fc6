package relay

import "io"

// lineReader turns every line end of a message into CRLF: CRLF itself, a bare CR and a bare
// LF, which RFC 5321 section 2.3.8 forbids. So nothing in a message can be taken for the end
// of the data by a server that reads line ends in another way. A last line without an end
// gets one, and an empty message is one empty line. It changes nothing else.
type lineReader struct {
	src   io.Reader
	in    []byte
	buf   []byte // what in became
	out   []byte // the rest of it that is still to be read
	cr    bool   // the last octet was a CR, whose line end is in out already
	ended bool   // the last line has its end
	err   error  // of src, after out
}

func newLineReader(src io.Reader) *lineReader {
	return &lineReader{src: src, in: make([]byte, 16<<10), buf: make([]byte, 0, 18<<10)}
}

// Read implements io.Reader. Errors are those of the source.
func (l *lineReader) Read(p []byte) (int, error) {
	for len(l.out) == 0 && l.err == nil {
		var n int
		n, l.err = l.src.Read(l.in)
		l.convert(l.in[:n])
		if l.err == io.EOF && !l.ended {
			l.out = append(l.out, "\r\n"...)
		}
	}
	if len(l.out) == 0 {
		return 0, l.err
	}
	n := copy(p, l.out)
	l.out = l.out[n:]
	return n, nil
}

// convert makes out of in.
func (l *lineReader) convert(in []byte) {
	l.buf = l.buf[:0]
	for _, c := range in {
		switch {
		case c == '\n' && l.cr:
			l.cr = false
			continue
		case c == '\r' || c == '\n':
			l.buf = append(l.buf, "\r\n"...)
		default:
			l.buf = append(l.buf, c)
		}
		l.cr = c == '\r'
		l.ended = c == '\r' || c == '\n'
	}
	l.out = l.buf
}
