//go:build linux

package main

import (
	"encoding/binary"
	"net"
	"testing"
	"testing/synctest"
	"time"
)

// ends returns a link and what is at its ends: one Write is a packet there.
func ends(t *testing.T, rtt time.Duration) (l *link, a, b net.Conn) {
	t.Helper()
	a, left := net.Pipe()
	b, right := net.Pipe()
	l = startLink(left, right, 100)
	l.setRTT(rtt)
	return l, a, b
}

// In a synctest bubble times are exact.
func TestLinkDelaysEachPacket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := ends(t, 100*time.Millisecond)
		defer l.close()
		begin := time.Now()
		go func() {
			for _, text := range []string{"one", "two", "three"} {
				a.Write([]byte(text))
				time.Sleep(10 * time.Millisecond)
			}
		}()
		for i, want := range []string{"one", "two", "three"} {
			got := make([]byte, 100)
			n, err := b.Read(got)
			must(t, err)
			after, due := time.Since(begin), time.Duration(50+10*i)*time.Millisecond
			if string(got[:n]) != want || after != due {
				t.Errorf("%q comes after %v, want %q after %v", got[:n], after, want, due)
			}
		}
		_, err := b.Write([]byte("back"))
		must(t, err)
		_, err = a.Read(make([]byte, 100))
		must(t, err)
		if after, due := time.Since(begin), 120*time.Millisecond; after != due {
			t.Errorf("the answer comes after %v, want %v", after, due)
		}
	})
}

// More packets than TCP ever has in transit.
func TestLinkKeepsOrderAndLosesNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const count = 2 * linkQueue
		l, a, b := ends(t, time.Millisecond)
		defer l.close()
		go func() {
			for i := range uint32(count) {
				a.Write(binary.BigEndian.AppendUint32(nil, i))
			}
		}()
		buf := make([]byte, 100)
		for i := range uint32(count) {
			n, err := b.Read(buf)
			must(t, err)
			if n != 4 || binary.BigEndian.Uint32(buf) != i {
				t.Fatalf("packet %d is %x", i, buf[:n])
			}
		}
	})
}

// close returns although packets are in transit, and closes both ends.
func TestLinkCloseDropsPacketsInTransit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l, a, b := ends(t, time.Hour)
		_, err := a.Write([]byte("never to arrive"))
		must(t, err)
		l.close()
		for _, end := range []net.Conn{a, b} {
			if n, err := end.Read(make([]byte, 1)); n != 0 || err == nil {
				t.Errorf("the end of a closed link gives %d octets, %v", n, err)
			}
		}
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
