//go:build linux

package relay

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/internal/distancetest"
	"popfetch/internal/dovecottest"
)

// The commands of a message and its text are two flights, as fast as a client gets that
// pipelines. POPFETCH_TORTURE=1 sends 1,000 messages.
func TestFlightsTakeNoLongerThanThoseOfABarePipeliningClient(t *testing.T) {
	t.Run("scripted", func(t *testing.T) {
		r := newReceiver(t)
		n := compareFlights(t, "a scripted server", "unix", r.l.Addr().String())
		if got := len(r.delivered()); got != 2*n {
			t.Errorf("%d messages arrived, want %d", got, 2*n)
		}
	})
	t.Run("Dovecot", func(t *testing.T) {
		if reason := dovecottest.MissingLMTP(); reason != "" {
			t.Skip(reason)
		}
		s, err := dovecottest.Start(dovecottest.Options{LMTP: true})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		n := compareFlights(t, "Dovecot", "unix", s.LMTP)
		names, err := os.ReadDir(filepath.Join(s.Mail, "me@example.org", "new"))
		if err != nil || len(names) != 2*n {
			t.Errorf("%d messages arrived, want %d; %v", len(names), 2*n, err)
		}
	})
}

// compareFlights sends n messages to an LMTP server 20 ms away, bare and as package fetch does.
func compareFlights(t *testing.T, name, network, address string) (n int) {
	t.Helper()
	const rtt = 20 * time.Millisecond
	n = 40
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		n = 1000
	}
	text := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcde\r\n", 200)
	addr := distancetest.To(t, network, address, rtt)

	start := time.Now()
	if err := dovecottest.SendLMTP(addr, "me@example.org", slices.Repeat([]string{text}, n)); err != nil {
		t.Fatal(err)
	}
	fastest := time.Since(start)

	d := &Relay{Network: "tcp", Address: addr, Recipients: []string{"me@example.org"}, Name: "client.example.org", Timeout: time.Minute, Spool: t.TempDir()}
	defer d.Close()
	start = time.Now()
	for range n {
		if err := deliverOne(t, d, text); err != nil {
			t.Fatal(err)
		}
	}
	took := time.Since(start)
	fmt.Printf("BOUND %d messages to %s by LMTP at RTT %v: %.2f s, a bare pipelining client %.2f s, ratio %.2f, at most 1.5\n",
		n, name, rtt, took.Seconds(), fastest.Seconds(), took.Seconds()/fastest.Seconds())
	if took > fastest*3/2 {
		t.Errorf("%v, more than 1.5 times %v", took, fastest)
	}
	return n
}
