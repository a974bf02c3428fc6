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
		sent := compareFlights(t, "a scripted server", "unix", r.Addr.String())
		if got := len(r.delivered()); got != sent {
			t.Errorf("%d messages arrived, want %d", got, sent)
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
		sent := compareFlights(t, "Dovecot", "unix", s.LMTP)
		names, err := os.ReadDir(filepath.Join(s.Mail, "me@example.org", "new"))
		if err != nil || len(names) != sent {
			t.Errorf("%d messages arrived, want %d; %v", len(names), sent, err)
		}
	})
}

// compareFlights sends messages to an LMTP server 20 ms away, bare and as package fetch does,
// and returns how many it has sent. What the machine takes for each message, its disk or other
// tests beside this one, is no flight: the farther the server is, the less of the ratio it is,
// so a comparison that fails is made again with a server twice as far away.
func compareFlights(t *testing.T, name, network, address string) (sent int) {
	t.Helper()
	const most, farthest = 1.5, time.Second
	n := 40
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		n = 1000
	}
	text := "Subject: x\r\n\r\n" + strings.Repeat("0123456789abcde\r\n", 200)
	for rtt := 20 * time.Millisecond; ; rtt *= 2 {
		addr := distancetest.To(t, network, address, rtt)
		bare := duration(func() {
			if err := dovecottest.SendLMTP(addr, "me@example.org", slices.Repeat([]string{text}, n)); err != nil {
				t.Fatal(err)
			}
		})
		d := &Relay{Network: "tcp", Address: addr, Recipients: []string{"me@example.org"}, Name: "client.example.org", Timeout: time.Minute, Spool: t.TempDir()}
		own := duration(func() {
			defer d.Close()
			for range n {
				if err := deliverOne(t, d, text); err != nil {
					t.Fatal(err)
				}
			}
		})
		sent += 2 * n
		ratio := own.Seconds() / bare.Seconds()
		if ratio > most && rtt < farthest {
			continue
		}
		fmt.Printf("BOUND %d messages to %s by LMTP at RTT %v: %.2f s, a bare pipelining client %.2f s, ratio %.2f, at most %.1f\n",
			n, name, rtt, own.Seconds(), bare.Seconds(), ratio, most)
		if ratio > most {
			t.Errorf("%v, more than %.1f times %v", own, most, bare)
		}
		return sent
	}
}

// duration returns how long f takes.
func duration(f func()) time.Duration {
	start := time.Now()
	f()
	return time.Since(start)
}
