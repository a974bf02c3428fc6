//go:build linux

package main

import (
	"io"
	"sync"
	"sync/atomic"
	"time"
)

// linkQueue is how many packets can be under way in one direction. At 1 Gbit/s and 100 ms
// there are 4,200; more than the queue holds have to wait, none is lost.
const linkQueue = 1 << 14

// link carries packets between two ends: what one gives comes out at the other half a
// round trip later, in the same order.
type link struct {
	delay   atomic.Int64 // time.Duration, of one direction
	mtu     int
	ends    [2]io.ReadWriteCloser
	buffers sync.Pool // of *packet
	running sync.WaitGroup
}

// packet is one under way.
type packet struct {
	due  time.Time
	data []byte // of the link's buffer
	room []byte
}

// startLink joins two ends, of which each Read gives a packet of at most mtu octets and each
// Write takes one. The link closes them. There is no delay yet.
func startLink(a, b io.ReadWriteCloser, mtu int) *link {
	l := &link{mtu: mtu, ends: [2]io.ReadWriteCloser{a, b}}
	l.buffers.New = func() any { return &packet{room: make([]byte, mtu)} }
	l.carry(a, b)
	l.carry(b, a)
	return l
}

// setRTT sets the delay of packets to come. Not while some are under way that are due later:
// they would hold up the new ones.
func (l *link) setRTT(rtt time.Duration) { l.delay.Store(int64(rtt / 2)) }

// close ends the link and waits until nothing of it runs.
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

// pull queues what comes, until the end, and closes the queue.
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

// push sends each packet when it is due. An interface that is down takes none, as a cable
// that is not plugged in.
func (l *link) push(queue <-chan *packet, to io.Writer) {
	for p := range queue {
		time.Sleep(time.Until(p.due))
		to.Write(p.data)
		l.buffers.Put(p)
	}
}
