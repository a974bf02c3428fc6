package pop3test

import (
	"fmt"
	"io"
	"net"
	"os"
	"sync"
	"time"
)

// transport is a connection below TLS: TCP, or one in memory.
type transport interface {
	net.Conn
	CloseWrite() error
	SetLinger(seconds int) error
}

// Dial opens a connection in memory to a server that was started: no socket, and none
// that lingers. A test with very many short sessions needs that.
func (s *Server) Dial() (net.Conn, error) {
	up, down := newStream(), newStream()
	if !s.serve(&memoryConn{in: up, out: down}) {
		return nil, fmt.Errorf("dial pop3test server: %w", net.ErrClosed)
	}
	return &memoryConn{in: down, out: up}, nil
}

// nowhere is the listener of a server InMemory, at which nobody arrives.
type nowhere struct{}

func (nowhere) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nowhere) Close() error              { return nil }
func (nowhere) Addr() net.Addr            { return memoryAddr{} }

// memoryConn is one end of a connection in memory. A Write never waits.
type memoryConn struct{ in, out *stream }

type memoryAddr struct{}

func (memoryAddr) Network() string { return "memory" }
func (memoryAddr) String() string  { return "localhost:110" } // the certificate is for localhost

func (c *memoryConn) Read(p []byte) (int, error)        { return c.in.read(p) }
func (c *memoryConn) Write(p []byte) (int, error)       { return c.out.write(p) }
func (c *memoryConn) LocalAddr() net.Addr               { return memoryAddr{} }
func (c *memoryConn) RemoteAddr() net.Addr              { return memoryAddr{} }
func (c *memoryConn) SetReadDeadline(t time.Time) error { return c.in.setDeadline(t) }
func (c *memoryConn) SetWriteDeadline(time.Time) error  { return nil }
func (c *memoryConn) SetDeadline(t time.Time) error     { return c.in.setDeadline(t) }
func (c *memoryConn) SetLinger(int) error               { return nil }
func (c *memoryConn) CloseWrite() error                 { c.out.end(false); return nil }
func (c *memoryConn) Close() error                      { c.in.end(true); c.out.end(false); return nil }

// stream is one direction of a connection in memory.
type stream struct {
	mu       sync.Mutex
	changed  sync.Cond
	octets   []byte
	ended    bool // the writer has closed: io.EOF behind the octets
	dropped  bool // the reader has closed: every call fails
	deadline time.Time
	alarm    *time.Timer // wakes a reader at the deadline, nil = never used
}

func newStream() *stream {
	s := new(stream)
	s.changed.L = &s.mu
	return s
}

func (s *stream) read(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case s.dropped:
			return 0, net.ErrClosed
		case len(s.octets) > 0:
			n := copy(p, s.octets)
			s.octets = s.octets[n:]
			return n, nil
		case s.ended:
			return 0, io.EOF
		}
		if !s.deadline.IsZero() {
			left := time.Until(s.deadline)
			if left <= 0 {
				return 0, os.ErrDeadlineExceeded
			}
			if s.alarm == nil {
				s.alarm = time.AfterFunc(left, s.wake)
			} else {
				s.alarm.Reset(left)
			}
		}
		s.changed.Wait()
	}
}

func (s *stream) write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.ended || s.dropped {
		return 0, net.ErrClosed
	}
	s.octets = append(s.octets, p...)
	s.changed.Broadcast()
	return len(p), nil
}

func (s *stream) setDeadline(t time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.deadline = t
	s.changed.Broadcast()
	return nil
}

// end ends the stream, from the side of its reader or of its writer.
func (s *stream) end(reader bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ended, s.dropped = true, s.dropped || reader
	if s.alarm != nil {
		s.alarm.Stop()
	}
	s.changed.Broadcast()
}

func (s *stream) wake() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.changed.Broadcast()
}
