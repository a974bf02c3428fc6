//go:build linux

package main

import (
	"bytes"
	"net"
	"sync"
	"time"
)

const (
	relayRead  = 32 << 10 // octets that one chunk holds at most
	relayQueue = 512      // chunks under way in one direction: 16 MiB at most
)

// relay is a TCP relay on the loopback interface that makes a server look far away:
// what one side sends comes out at the other half a round trip later, at any rate
// up to 16 MiB in that time. It knows nothing of loss or of slow start, so all clients
// gain the same.
type relay struct {
	listener net.Listener
	to       string
	rtt      time.Duration
	serving  sync.WaitGroup

	mu    sync.Mutex
	conns map[net.Conn]struct{} // nil once closed
}

// startRelay listens on a free port of 127.0.0.1 and connects to the address to.
func startRelay(to string, rtt time.Duration) (*relay, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	r := &relay{listener: l, to: to, rtt: rtt, conns: make(map[net.Conn]struct{})}
	r.serving.Go(r.accept)
	return r, nil
}

// addr is where clients connect to.
func (r *relay) addr() string { return r.listener.Addr().String() }

// close ends all connections and waits until nothing of the relay runs.
func (r *relay) close() {
	r.listener.Close()
	r.mu.Lock()
	for c := range r.conns {
		c.Close()
	}
	r.conns = nil
	r.mu.Unlock()
	r.serving.Wait()
}

// keep notes a connection for close. It returns false, with the connection closed, if the relay is.
func (r *relay) keep(c net.Conn) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.conns == nil {
		c.Close()
		return false
	}
	r.conns[c] = struct{}{}
	return true
}

func (r *relay) drop(c net.Conn) {
	c.Close()
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.conns, c)
}

func (r *relay) accept() {
	for {
		c, err := r.listener.Accept()
		if err != nil {
			return
		}
		if r.keep(c) {
			r.serving.Go(func() { r.serve(c) })
		}
	}
}

// serve relays one connection. The kernel has completed the handshake with the client at
// once. Over a real path it takes one round trip, and what the client sends then half
// of another, so the server hears nothing of the client before one and a half.
func (r *relay) serve(client net.Conn) {
	defer r.drop(client)
	up := make(chan chunk, relayQueue)
	var pumps sync.WaitGroup
	pumps.Go(func() { pull(client, up, r.rtt/2) })
	defer pumps.Wait()

	time.Sleep(r.rtt + r.rtt/2)
	server, err := net.Dial("tcp", r.to)
	if err != nil || !r.keep(server) {
		client.Close()
		discard(up)
		return
	}
	defer r.drop(server)
	down := make(chan chunk, relayQueue)
	pumps.Go(func() { pull(server, down, r.rtt/2) })
	var writers sync.WaitGroup
	writers.Go(func() { push(server, up) })
	writers.Go(func() { push(client, down) })
	writers.Wait()
}

// chunk is data that is due at the other end. The last one has none.
type chunk struct {
	due  time.Time
	data []byte
}

// pull queues what comes from c, and its end, and closes the queue.
func pull(c net.Conn, queue chan<- chunk, delay time.Duration) {
	defer close(queue)
	buf := make([]byte, relayRead)
	for {
		n, err := c.Read(buf)
		due := time.Now().Add(delay)
		if n > 0 {
			queue <- chunk{due, bytes.Clone(buf[:n])}
		}
		if err != nil {
			queue <- chunk{due, nil}
			return
		}
	}
}

// push sends each chunk when it is due, and ends the sending direction of c after
// the last.
func push(c net.Conn, queue <-chan chunk) {
	for x := range queue {
		time.Sleep(time.Until(x.due))
		if x.data == nil {
			c.(*net.TCPConn).CloseWrite()
			continue
		}
		if _, err := c.Write(x.data); err != nil {
			c.Close() // the other direction ends too, and with it the sender
			discard(queue)
			return
		}
	}
}

func discard(queue <-chan chunk) {
	for range queue {
	}
}
