package pop3test

import (
	"bufio"
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"time"
)

// state is a session state as a bit. UPDATE has none, since it has no commands.
// RFC 1939 section 3
type state uint8

const (
	authorization state = 1 << iota
	transaction
)

// maxLine is the longest command line, in octets.
const maxLine = 16 << 10

// linger is how long the server waits for the client to close the connection too.
const linger = 5 * time.Second

var errLongLine = errors.New("line too long")

// session is one connection. It is used from one goroutine.
type session struct {
	server *Server
	num    int
	armed  []*armed
	whole  []Fault // with At ""
	now    []Fault // of the current reply

	raw    transport
	conn   net.Conn // TLS or raw
	secure bool
	in     *bufio.Reader
	out    *bufio.Writer
	flow   *flow // of the whole session, may be nil
	held   emit  // by Late
	swap   emit  // by Swap

	state     state
	timestamp string // for APOP
	user      string // named by USER
	maildrop  *Maildrop
	view      []entry
}

func newSession(s *Server, num int, conn transport, faults []*armed) *session {
	return &session{server: s, num: num, armed: faults, raw: conn, state: authorization}
}

// run serves a session from the greeting to its end.
func (s *session) run() {
	defer s.leave(nil)
	s.server.logf(s.num, "connection from %v", s.raw.RemoteAddr())
	s.whole = s.strike("")
	s.flow = newFlow(s.raw, s.whole, s.cut, s.wait)
	s.use(s.raw)
	err := s.begin()
	for err == nil {
		var line string
		if line, err = s.readLine(); err == nil {
			err = s.serve(line)
		} else if errors.Is(err, errLongLine) {
			s.now = nil
			err = s.send(s.no("", "line too long"))
		}
	}
	s.server.logf(s.num, "end: %v", err)
	if errors.Is(err, io.EOF) || errors.Is(err, errQuit) {
		s.leave(nil)
		s.finish()
	}
}

// errQuit is the error of a session that has ended as it should.
var errQuit = errors.New("quit")

// begin brings the session to the end of the greeting.
func (s *session) begin() error {
	s.now = s.strike("connect")
	if err := s.transmit(func(io.Writer) error { return nil }); err != nil {
		return err
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	if s.server.Security == ImplicitTLS {
		if err := s.startTLS(); err != nil {
			return err
		}
	}
	s.now = s.strike("greeting")
	if f, ok := find(s.now, Err); ok {
		return s.send(s.refusal(f, true))
	}
	greeting := "+OK pop3test ready"
	if s.server.Timestamp {
		s.timestamp = "<" + nonce() + "@pop3test.example>"
		greeting += " " + s.timestamp
	}
	return s.send(reply{status: greeting})
}

// use makes conn the connection that commands arrive on.
func (s *session) use(conn net.Conn) {
	s.conn = conn
	s.in = bufio.NewReaderSize(conn, maxLine)
	var w io.Writer = conn
	if s.flow != nil {
		s.flow.w = conn
		w = s.flow
	}
	s.out = bufio.NewWriterSize(w, 64<<10)
}

// startTLS makes the connection a TLS one. What the client had sent before is
// forgotten (RFC 2595 section 4).
func (s *session) startTLS() error {
	below := &belowTLS{transport: s.raw, w: s.raw}
	cut := func(k Kind) error {
		if k == Drop {
			k = CutTLS // TLS cannot say goodbye from below
		}
		return s.cut(k)
	}
	if f := newFlow(s.raw, s.strike("TLS"), cut, s.wait); f != nil {
		below.w = f
	}
	conn := tls.Server(below, s.server.config)
	s.use(conn)
	ctx, cancel := context.WithTimeout(context.Background(), s.idle())
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("TLS handshake: %w", err)
	}
	s.secure = true
	return nil
}

// belowTLS is a connection whose writes go through a flow.
type belowTLS struct {
	transport
	w io.Writer
}

func (b *belowTLS) Write(p []byte) (int, error) { return b.w.Write(p) }

// readLine returns the next line without its CRLF. It sends all replies before it
// waits for one.
func (s *session) readLine() (string, error) {
	ahead, _ := s.in.Peek(s.in.Buffered())
	if bytes.IndexByte(ahead, '\n') < 0 {
		if err := s.out.Flush(); err != nil {
			return "", err
		}
	}
	if err := s.conn.SetReadDeadline(time.Now().Add(s.idle())); err != nil {
		return "", err
	}
	line, err := s.in.ReadSlice('\n')
	if errors.Is(err, bufio.ErrBufferFull) {
		for errors.Is(err, bufio.ErrBufferFull) {
			_, err = s.in.ReadSlice('\n')
		}
		if err == nil {
			err = errLongLine
		}
	}
	if err != nil {
		return "", err
	}
	return strings.TrimSuffix(string(line), "\r\n"), nil
}

func (s *session) idle() time.Duration {
	if s.server.Idle == 0 {
		return 10 * time.Minute
	}
	return s.server.Idle
}

func (s *session) strike(point string) []Fault {
	return s.server.strike(s.armed, s.num, point)
}

// has returns the fault of a kind that strikes the current reply or the whole session.
func (s *session) has(k Kind) (Fault, bool) {
	if f, ok := find(s.now, k); ok {
		return f, true
	}
	return find(s.whole, k)
}

// send answers with r, as the faults of the current reply change it.
func (s *session) send(r reply) error {
	if s.in.Buffered() > 0 {
		s.server.mu.Lock()
		s.server.pipelined++
		s.server.mu.Unlock()
	}
	s.server.logf(s.num, "S: %s", r.status)
	if err := s.transmit(r.encode(s.now)); err != nil {
		return err
	}
	if _, ok := find(s.now, Forget); ok {
		s.in.Discard(s.in.Buffered())
	}
	if r.secure {
		if err := s.out.Flush(); err != nil {
			return err
		}
		return s.startTLS()
	}
	if r.end {
		if err := s.out.Flush(); err != nil {
			return err
		}
		return errQuit
	}
	return nil
}

// transmit sends a reply in wire form, after those that Late and Swap have kept back.
func (s *session) transmit(e emit) error {
	travel, change := split(s.now)
	for _, f := range change {
		e = f.change(e)
	}
	if f, ok := find(travel, Slow); ok && f.N == 0 {
		e = Fault{Do: Edit, Edit: func(b []byte) []byte { return b }}.change(e)
	}
	late, swapped := s.held, s.swap
	s.held, s.swap = nil, nil
	if late != nil {
		e = then(late, e)
	}
	if _, ok := find(change, Late); ok {
		s.held = e
		return nil
	}
	if _, ok := find(change, Swap); ok && swapped == nil {
		s.swap = e
		return nil
	}
	if swapped != nil {
		e = then(e, swapped)
	}
	f := newFlow(flushed{s.out}, travel, s.cut, s.wait)
	if f == nil {
		return e(s.out)
	}
	if err := s.out.Flush(); err != nil {
		return err
	}
	if err := e(f); err != nil {
		return err
	}
	_, err := f.Write(nil) // a cut behind an empty reply
	return err
}

// flushed flushes each write.
type flushed struct{ w *bufio.Writer }

func (f flushed) Write(p []byte) (int, error) {
	n, err := f.w.Write(p)
	if err == nil {
		err = f.w.Flush()
	}
	return n, err
}

// wait waits between two pieces of a reply. It returns early when the server is
// closed.
func (s *session) wait(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-s.server.closing:
		return net.ErrClosed
	}
}

// cut ends the connection as a fault says, and returns errCut once the client has
// ended it too. Messages that are marked stay.
func (s *session) cut(k Kind) error {
	s.server.logf(s.num, "connection cut")
	switch k {
	case Stall:
		s.drain(0)
		return errCut
	case Reset:
		s.leave(nil)
		s.raw.SetLinger(0)
		s.raw.Close()
		return errCut
	case Drop:
		s.leave(nil)
		if c, ok := s.conn.(*tls.Conn); ok {
			c.CloseWrite()
		}
	case CutTLS:
		s.leave(nil)
	}
	s.raw.CloseWrite()
	s.drain(0)
	return errCut
}

// finish ends the connection without an RST, which a plain close would send while
// something of the client is unread, and which may overtake the last reply.
func (s *session) finish() {
	if c, ok := s.conn.(*tls.Conn); ok {
		c.CloseWrite()
	}
	s.raw.CloseWrite()
	s.drain(linger)
}

// drain reads until the client ends the connection, for d at most; 0 = for ever.
func (s *session) drain(d time.Duration) {
	limit := time.Time{}
	if d > 0 {
		limit = time.Now().Add(d)
	}
	s.raw.SetReadDeadline(limit)
	io.Copy(io.Discard, s.raw)
}

// leave removes the messages in gone and unlocks the maildrop.
func (s *session) leave(gone map[*Message]bool) {
	if s.maildrop != nil {
		s.maildrop.release(gone)
		s.maildrop = nil
	}
}
