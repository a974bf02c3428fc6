package pop3test

import (
	"bytes"
	"errors"
	"io"
	"slices"
	"time"
)

// errCut: a fault has ended the connection.
var errCut = errors.New("connection ended by a fault")

// errHead: the head is complete.
var errHead = errors.New("head complete")

// head passes on the first octets and refuses the others.
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

// statusEnd makes a count of AfterStatus, once the first line ends in p: sent
// octets went before p.
func statusEnd(after, sent int64, p []byte) int64 {
	if after >= 0 {
		return after
	}
	if i := bytes.IndexByte(p, '\n'); i >= 0 {
		return sent + int64(i) + 1
	}
	return after
}

// flow writes octets the way its faults want them to travel.
type flow struct {
	w    io.Writer
	cuts []Fault
	slow Fault // Do is 0 when there is none
	sent int64
	cut  func(Kind) error          // ends the connection, returns errCut
	wait func(time.Duration) error // returns early when the connection ends
}

// travels says whether the kind is one for a flow.
func (k Kind) travels() bool { return k.cuts() || k == Slow }

func (k Kind) cuts() bool { return k >= Drop && k <= Stall }

// newFlow returns a flow with those of the faults that concern it, nil when
// there are none.
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

// Write cuts as soon as the count of octets is reached: before the first one
// when it is 0, right behind the last one when it is the length.
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

// split parts the faults whose kinds are for a flow from the others.
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
