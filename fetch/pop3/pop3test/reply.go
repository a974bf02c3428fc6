package pop3test

import (
	"bufio"
	"bytes"
	"errors"
	"io"
)

// reply is the answer to a command.
type reply struct {
	status string                // the first line, without CRLF
	body   func(io.Writer) error // writes the lines without byte-stuffing, nil = a one-line reply
	end    bool                  // the session ends after it
	secure bool                  // TLS begins after it
}

// emit writes a reply in wire form, changed by faults or not. It may be called more
// than once.
type emit func(io.Writer) error

func text(s string) emit {
	return func(w io.Writer) error {
		_, err := io.WriteString(w, s)
		return err
	}
}

// encode returns the reply in wire form.
func (r reply) encode(faults []Fault) emit {
	if r.body == nil {
		return text(r.status + "\r\n")
	}
	return func(w io.Writer) error {
		if err := text(r.status + "\r\n")(w); err != nil {
			return err
		}
		end := ".\r\n"
		d := &dotWriter{w: w, bol: true}
		for _, f := range faults {
			switch f.Do {
			case Unstuffed:
				d.unstuffed = true
			case NoFinalCRLF:
				d.w = &holdCRLF{w: w}
			case BareLFDot:
				d.w, end = &holdCRLF{w: w}, "\n.\n"
			}
		}
		if err := r.body(d); err != nil {
			return err
		}
		if err := d.finish(); err != nil {
			return err
		}
		return text(end)(w)
	}
}

// dotWriter byte-stuffs a multi-line body, in which only CRLF ends a line. RFC 1939
// section 3
type dotWriter struct {
	w         io.Writer
	bol       bool // at the beginning of a line
	cr        bool // the last octet was CR
	unstuffed bool
}

func (d *dotWriter) Write(p []byte) (int, error) {
	n := len(p)
	if n == 0 {
		return 0, nil
	}
	crlf := bytes.HasSuffix(p, []byte("\r\n")) || d.cr && n == 1 && p[0] == '\n'
	if !d.unstuffed {
		if d.bol && p[0] == '.' {
			if err := text(".")(d.w); err != nil {
				return 0, err
			}
		}
		rest, err := d.stuff(p)
		if err != nil {
			return 0, err
		}
		p = rest
	}
	if _, err := d.w.Write(p); err != nil {
		return 0, err
	}
	d.bol, d.cr = crlf, p[len(p)-1] == '\r'
	return n, nil
}

// stuff writes p up to the last line of it that begins with a dot, and returns
// that line and what follows. The first octet of p needs no dot any more.
func (d *dotWriter) stuff(p []byte) ([]byte, error) {
	for from := 0; ; {
		i := bytes.Index(p[from:], []byte("\n."))
		if i < 0 {
			return p, nil
		}
		lf := from + i
		if lf == 0 && !d.cr || lf > 0 && p[lf-1] != '\r' {
			from = lf + 1
			continue
		}
		if _, err := d.w.Write(p[:lf+1]); err != nil {
			return nil, err
		}
		if err := text(".")(d.w); err != nil {
			return nil, err
		}
		p, from = p[lf+1:], 1
	}
}

// finish completes the last line.
func (d *dotWriter) finish() error {
	if d.bol {
		return nil
	}
	return text("\r\n")(d.w)
}

// holdCRLF passes on what is written to it except a CRLF at the very end.
type holdCRLF struct {
	w    io.Writer
	kept []byte
}

func (h *holdCRLF) Write(p []byte) (int, error) {
	all := append(h.kept, p...)
	keep := len(all)
	switch {
	case bytes.HasSuffix(all, []byte("\r\n")):
		keep -= 2
	case bytes.HasSuffix(all, []byte("\r")):
		keep--
	}
	h.kept = bytes.Clone(all[keep:])
	if _, err := h.w.Write(all[:keep]); err != nil {
		return 0, err
	}
	return len(p), nil
}

// copyTop copies the header block, the blank line and that many lines of the body.
// RFC 1939 section 7 (TOP)
func copyTop(w io.Writer, r io.Reader, lines int) error {
	br := bufio.NewReader(r)
	header, start := true, true
	for {
		if !header && start {
			if lines == 0 {
				return nil
			}
			lines--
		}
		part, err := br.ReadSlice('\n')
		if header && start && string(part) == "\r\n" {
			header = false
		}
		if _, werr := w.Write(part); werr != nil {
			return werr
		}
		start = err == nil
		switch {
		case err == io.EOF:
			return nil
		case err != nil && !errors.Is(err, bufio.ErrBufferFull):
			return err
		}
	}
}
