package pop3test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"
)

// errCut is the error of a connection that a fault has ended.
var errCut = errors.New("connection ended by a fault")

// errHead is the error of a head that is complete.
var errHead = errors.New("head complete")

// head passes on the first octets only.
type head struct {
	w     io.Writer
	after int64 // octets, AfterStatus = up to the end of the first line
	sent  int64
	full  bool
}

func (h *head) Write(p []byte) (int, error) {
	h.after = statusEnd(h.after, h.sent, p)
	part := p
	if h.after >= 0 && h.after-h.sent < int64(len(p)) {
		part, h.full = p[:h.after-h.sent], true
	}
	n, err := h.w.Write(part)
	h.sent += int64(n)
	if err == nil && h.full {
		err = errHead
	}
	return n, err
}

// statusEnd replaces AfterStatus by a count of octets if the first line ends in p, which
// sent octets precede.
func statusEnd(after, sent int64, p []byte) int64 {
	if after >= 0 {
		return after
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return sent + int64(i) + 1
	}
	return after
}

// flow writes octets slowly, and ends the connection, as its faults say.
type flow struct {
	w    io.Writer
	cuts []Fault
	slow Fault // Do is 0 when there is none
	sent int64
	cut  func(Kind) error          // ends the connection, returns errCut
	wait func(time.Duration) error // returns early when the connection ends
}

// travels reports whether the kind is one for a flow.
func (k Kind) travels() bool { return k.cuts() || k == Slow }

func (k Kind) cuts() bool { return k >= Drop && k <= Stall }

// newFlow returns a flow with those faults that travel, nil if there are none.
func newFlow(w io.Writer, faults []Fault, cut func(Kind) error, wait func(time.Duration) error) *flow {
	f := &flow{w: w, cut: cut, wait: wait}
	for _, fault := range faults {
		switch {
		case fault.Do.cuts():
			f.cuts = append(f.cuts, fault)
		case fault.Do == Slow:
			f.slow = fault
		}
	}
	if len(f.cuts) == 0 && f.slow.Do == 0 {
		return nil
	}
	return f
}

// Write cuts as soon as Fault.After octets are written: before the first one if it is
// 0, right after the last one if it is the length of the reply.
func (f *flow) Write(p []byte) (int, error) {
	n := 0
	for {
		due := int64(-1)
		for i := range f.cuts {
			c := &f.cuts[i]
			c.After = statusEnd(c.After, f.sent, p[n:])
			if c.After == f.sent {
				if c.Hook != nil {
					c.Hook()
				}
				return n, f.cut(c.Do)
			}
			if c.After > f.sent && (due < 0 || c.After < due) {
				due = c.After
			}
		}
		if n == len(p) {
			return n, nil
		}
		piece := p[n:]
		if f.slow.N > 0 {
			piece = piece[:min(f.slow.N, int64(len(piece)))]
		}
		if due >= 0 {
			piece = piece[:min(due-f.sent, int64(len(piece)))]
		}
		if err := f.wait(f.slow.Delay); err != nil {
			return n, err
		}
		m, err := f.w.Write(piece)
		n += m
		f.sent += int64(m)
		if err != nil {
			return n, err
		}
	}
}

// split separates the faults that travel from the others.
func split(faults []Fault) (travel, rest []Fault) {
	rest = slices.Clone(faults)
	rest = slices.DeleteFunc(rest, func(f Fault) bool {
		if f.Do.travels() {
			travel = append(travel, f)
		}
		return f.Do.travels()
	})
	return travel, rest
}
