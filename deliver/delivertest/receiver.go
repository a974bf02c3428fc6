package delivertest

import (
	"fmt"
	"io"
	"net"
	"sync"
	"testing"
)

// Receiver is what the servers have in common to which a destination under test delivers: they
// go through the steps of their protocol, and a test says what is answered to a step. Its
// mutex also guards what a server keeps.
type Receiver struct {
	sync.Mutex
	Addr net.Addr

	l      net.Listener
	over   chan struct{} // closed at the end of the test
	conns  []net.Conn
	answer func(step string) string // see AnswersBy
}

// Answers that are no reply.
const (
	Cut   = "cut"   // closes the connection
	Stall = "stall" // says nothing more, and reads nothing more
)

// NewReceiver listens. Serve has to follow, which ends that with the test.
func NewReceiver(t *testing.T, network, address string) *Receiver {
	t.Helper()
	l, err := net.Listen(network, address)
	if err != nil {
		t.Fatal(err)
	}
	return &Receiver{Addr: l.Addr(), l: l, over: make(chan struct{})}
}

// Serve begins to have each connection served, until the end of the test.
func (r *Receiver) Serve(t *testing.T, serve func(net.Conn)) {
	var serving sync.WaitGroup
	serving.Go(func() {
		for {
			c, err := r.l.Accept()
			if err != nil {
				return
			}
			r.Lock()
			r.conns = append(r.conns, c)
			r.Unlock()
			select {
			case <-r.over: // CloseAll may not have seen it
				c.Close()
			default:
			}
			serving.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() {
		r.Close()
		close(r.over)
		r.CloseAll()
		serving.Wait()
	})
}

// Close ends the listening. The connections stay.
func (r *Receiver) Close() error { return r.l.Close() }

// Connections returns how many connections there have been.
func (r *Receiver) Connections() int {
	r.Lock()
	defer r.Unlock()
	return len(r.conns)
}

// CloseAll closes all connections.
func (r *Receiver) CloseAll() {
	r.Lock()
	defer r.Unlock()
	for _, c := range r.conns {
		c.Close()
	}
}

// AnswersBy sets what to answer to each step in place of the usual reply, "" = that one. The
// function is called with the mutex locked. nil is the usual reply to everything.
func (r *Receiver) AnswersBy(answer func(step string) string) {
	r.Lock()
	defer r.Unlock()
	r.answer = answer
}

// Answers sets what to answer to one step; all others get the usual reply.
func (r *Receiver) Answers(step, reply string) {
	r.AnswersBy(func(s string) string {
		if s == step {
			return reply
		}
		return ""
	})
}

// AnswerTo returns what the test answers to a step, "" = the usual reply.
func (r *Receiver) AnswerTo(step string) string {
	r.Lock()
	defer r.Unlock()
	if r.answer == nil {
		return ""
	}
	return r.answer(step)
}

// Say sends an answer as a line, behind a prefix, or does what stands for none. It reports
// whether the connection goes on.
func (r *Receiver) Say(c net.Conn, prefix, answer string) bool {
	switch answer {
	case Cut:
		return false
	case Stall:
		<-r.over
		return false
	}
	_, err := io.WriteString(c, prefix+answer+"\r\n")
	return err == nil
}

// Faults returns faults whose calls are the steps of the receiver for which counts is true:
// the connection is cut there.
func (r *Receiver) Faults(counts func(step string) bool) Faults { return &cuts{r: r, counts: counts} }

type cuts struct {
	r      *Receiver
	counts func(step string) bool
	failed string
}

// Arm implements Faults.
func (c *cuts) Arm(n int, dead bool) {
	i := -1
	answer := func(step string) string {
		if !c.counts(step) {
			return ""
		}
		i++
		if i != n && !(dead && i > n) {
			return ""
		}
		if c.failed == "" {
			c.failed = fmt.Sprintf("%s, call %d", step, i)
		}
		return Cut
	}
	c.r.Lock()
	defer c.r.Unlock()
	c.failed, c.r.answer = "", answer
}

// Failed implements Faults.
func (c *cuts) Failed() string {
	c.r.Lock()
	defer c.r.Unlock()
	return c.failed
}

// Disarm implements Faults.
func (c *cuts) Disarm() { c.r.AnswersBy(nil) }
