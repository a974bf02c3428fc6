// Package distancetest moves the server of a test away: what is sent to it and what it
// replies takes its time.
package distancetest

import (
	"net"
	"testing"
	"time"
)

const (
	// inFlight is how many packets of at most 32 KiB are under way before the sender waits.
	inFlight = 4096
	packet   = 32 << 10
)

// To returns a TCP address from which the server at address is one round trip away. It ends
// with the test. Connecting itself takes no time.
func To(t testing.TB, network, address string, roundTrip time.Duration) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	go func() {
		for {
			near, err := l.Accept()
			if err != nil {
				return
			}
			far, err := net.Dial(network, address)
			if err != nil {
				near.Close()
				continue
			}
			go carry(far, near, roundTrip/2)
			go carry(near, far, roundTrip/2)
		}
	}()
	return l.Addr().String()
}

// carry copies from src to dst until one of them ends, and closes both. Everything arrives
// after the delay, however much is under way.
func carry(dst, src net.Conn, delay time.Duration) {
	type sent struct {
		due  time.Time
		text []byte
	}
	under := make(chan sent, inFlight)
	go func() {
		defer dst.Close()
		for s := range under {
			time.Sleep(time.Until(s.due))
			if _, err := dst.Write(s.text); err != nil {
				src.Close()
			}
		}
	}()
	defer close(under)
	for {
		buf := make([]byte, packet)
		n, err := src.Read(buf)
		if n > 0 {
			under <- sent{time.Now().Add(delay), buf[:n]}
		}
		if err != nil {
			return
		}
	}
}
