//go:build linux

package main

import (
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"testing"
	"time"
)

// A connection takes one round trip and the first data another one. In the namespace of the
// server both take none.
func TestEveryRoundTripIsDelayed(t *testing.T) {
	if _, err := exec.LookPath("ip"); err != nil {
		t.Skip("no delay: ip (Debian package iproute2) is not installed")
	}
	n, err := startNetwork()
	if errors.Is(err, os.ErrPermission) || errors.Is(err, os.ErrNotExist) {
		t.Skipf("no delay: %v", err)
	}
	must(t, err)
	defer n.close()
	var server net.Listener
	must(t, n.far.do(func() (err error) { server, err = net.Listen("tcp4", ":0"); return err }))
	defer server.Close()
	const octets = 5 << 20
	go func() {
		for {
			c, err := server.Accept()
			if err != nil {
				return
			}
			c.Write(make([]byte, octets))
			c.Close()
		}
	}()
	_, port, err := net.SplitHostPort(server.Addr().String())
	must(t, err)
	for _, rtt := range []time.Duration{0, 20 * ms, 100 * ms, 0} {
		where, host := n.at(rtt)
		var c net.Conn
		begin := time.Now()
		must(t, where.do(func() (err error) { c, err = net.Dial("tcp4", net.JoinHostPort(host.String(), port)); return err }))
		connected := time.Since(begin)
		_, err = c.Read(make([]byte, 1))
		must(t, err)
		first := time.Since(begin)
		rest, err := io.Copy(io.Discard, c)
		must(t, err)
		c.Close()
		t.Logf("RTT %v: connected after %v, first octet after %v, all %d after %v", rtt, connected, first, octets, time.Since(begin))
		if connected < rtt || first < 2*rtt || rest != octets-1 {
			t.Errorf("RTT %v: connected after %v, first octet after %v, then %d octets", rtt, connected, first, rest)
		}
		if rtt == 100*ms && connected > 2*rtt && fastest(t, where, net.JoinHostPort(host.String(), port)) > 2*rtt {
			t.Errorf("RTT %v: connected after %v, and not faster later", rtt, connected)
		}
	}
}

// fastest is the shortest of some times to connect: a busy machine makes single ones long.
func fastest(t *testing.T, where namespace, addr string) time.Duration {
	least := time.Hour
	for range 10 {
		begin := time.Now()
		must(t, where.do(func() error {
			c, err := net.Dial("tcp4", addr)
			if err == nil {
				err = c.Close()
			}
			return err
		}))
		least = min(least, time.Since(begin))
	}
	return least
}
