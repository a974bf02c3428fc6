//go:build linux

package main

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// linkQueue is how many packets can be in transit in one direction; 1 Gbit/s at 100 ms needs
// 4,200. When it is full, senders wait. No packet is lost.
const linkQueue = 1 << 14

// link carries packets between two ends. A packet arrives at the other end half a round trip
// later, in order.
type link struct {
	delay   atomic.Int64 // time.Duration, of one direction
	mtu     int
	ends    [2]io.ReadWriteCloser
	buffers sync.Pool // of *packet
	running sync.WaitGroup
}

// packet is a packet in transit.
type packet struct {
	due  time.Time // when it arrives
	data []byte    // part of room
	room []byte    // an MTU
}

// startLink joins two ends. Each Read must return one packet of at most mtu octets, and each
// Write takes one. The link closes both ends. The delay is 0 at first.
func startLink(a, b io.ReadWriteCloser, mtu int) *link {
	l := &link{mtu: mtu, ends: [2]io.ReadWriteCloser{a, b}}
	l.buffers.New = func() any { return &packet{room: make([]byte, mtu)} }
	l.carry(a, b)
	l.carry(b, a)
	return l
}

// setRTT sets the delay of packets that enter from now on. To shorten it, no packet may be in
// transit: it would hold up later ones.
func (l *link) setRTT(rtt time.Duration) { l.delay.Store(int64(rtt / 2)) }

// close closes both ends and waits until the goroutines of the link have ended.
func (l *link) close() {
	for _, end := range l.ends {
		end.Close()
	}
	l.running.Wait()
}

// carry moves packets in one direction, in two goroutines.
func (l *link) carry(from io.Reader, to io.Writer) {
	queue := make(chan *packet, linkQueue)
	l.running.Go(func() { l.pull(from, queue) })
	l.running.Go(func() { l.push(queue, to) })
}

// pull queues packets until the end of the input, and then closes the queue.
func (l *link) pull(from io.Reader, queue chan<- *packet) {
	defer close(queue)
	for {
		p := l.buffers.Get().(*packet)
		n, err := from.Read(p.room)
		if err != nil {
			return
		}
		p.data, p.due = p.room[:n], time.Now().Add(time.Duration(l.delay.Load()))
		queue <- p
	}
}

// push sends each packet when it is due. It ignores errors: an interface that is down drops
// packets.
func (l *link) push(queue <-chan *packet, to io.Writer) {
	for p := range queue {
		time.Sleep(time.Until(p.due))
		to.Write(p.data)
		l.buffers.Put(p)
	}
}
