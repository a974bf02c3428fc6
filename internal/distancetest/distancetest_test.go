package distancetest

import (
	"io"
	"net"
	"testing"
	"time"
)

func TestOneRoundTripHoweverMuchIsSent(t *testing.T) {
	const roundTrip = 100 * time.Millisecond
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	go func() {
		c, err := l.Accept()
		if err != nil {
			return
		}
		defer c.Close()
		io.Copy(c, c)
	}()
	c, err := net.Dial("tcp", To(t, "tcp", l.Addr().String(), roundTrip))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	before := time.Now()
	text := make([]byte, 1<<20)
	if _, err := c.Write(text); err != nil {
		t.Fatal(err)
	}
	if _, err := io.ReadFull(c, text); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(before); took < roundTrip {
		t.Errorf("%v, want at least %v", took, roundTrip)
	} else if took > 20*roundTrip { // with a wait for each packet it would be 32
		t.Errorf("%v for one round trip of %v", took, roundTrip)
	}
}
