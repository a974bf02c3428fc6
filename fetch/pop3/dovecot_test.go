package pop3

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"popfetch/internal/dovecottest"
)

const dovecotUser = "alice"

// startDovecot runs a real server with these messages in the maildrop of dovecotUser, and
// returns its address.
func startDovecot(t *testing.T, messages []string) string {
	t.Helper()
	if reason := dovecottest.Missing(); reason != "" {
		t.Skip("real server left out: " + reason)
	}
	s, err := dovecottest.Start(dovecottest.Options{})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		s.Close()
		if t.Failed() {
			t.Logf("dovecot: %s", s.Log())
		}
	})
	_, err = s.AddUser(dovecotUser)
	for i, m := range messages {
		err = errors.Join(err, s.Deliver(dovecotUser, fmt.Sprintf("%d.M.host", i+1), []byte(m)))
	}
	if err != nil {
		t.Fatal(err)
	}
	return s.POP3
}

// One session with a real server, one command at a time and pipelined.
func TestDovecot(t *testing.T) {
	for _, p := range []Pipelining{PipelineOff, PipelineAuto} {
		t.Run(fmt.Sprint(p), func(t *testing.T) {
			var sent []string
			for i := range 100 {
				sent = append(sent, fmt.Sprintf("Subject: %d\n\n.\n..\n.x\n%s\nlast", i, strings.Repeat("y", i*100)))
			}
			o := &Options{Security: ClearText, Pipelining: p, Timeout: time.Minute}
			c, err := Dial(t.Context(), "tcp", startDovecot(t, sent), o)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			if _, err := c.Login(Credentials{User: dovecotUser, Password: dovecottest.Password}); err != nil {
				t.Fatal(err)
			}
			if n, _, err := c.Stat(); n != len(sent) || err != nil {
				t.Fatalf("%d messages, %v", n, err)
			}
			ids := make(map[string]bool)
			var nums []int
			for u, err := range c.Uidl() {
				if err != nil {
					t.Fatal(err)
				}
				ids[string(u.ID)] = true
				nums = append(nums, u.Num)
			}
			got := make(map[string]bool)
			for m, err := range c.Retr(nums, nil) {
				if err != nil {
					t.Fatal(err)
				}
				b, err := io.ReadAll(m.Body)
				if err != nil || m.Octets >= 0 && m.Octets != int64(len(b)) && m.Octets+2 != int64(len(b)) {
					t.Errorf("message %d: %d octets of %d, %v", m.Num, len(b), m.Octets, err)
				}
				got[strings.TrimSuffix(string(b), "\r\n")] = true
			}
			for _, s := range sent {
				if !got[strings.ReplaceAll(s, "\n", "\r\n")] {
					t.Errorf("did not get %.40q", s)
				}
			}
			for m, err := range c.Top(nums[:2], 1) {
				if b, rerr := io.ReadAll(m.Body); err != nil || rerr != nil || !strings.HasSuffix(string(b), "\r\n\r\n.\r\n") {
					t.Errorf("TOP: %q, %v, %v", b, err, rerr)
				}
			}
			for _, err := range c.Dele(nums[:99]) {
				if err != nil {
					t.Error(err)
				}
			}
			if err := c.Quit(); err != nil || len(ids) != len(sent) {
				t.Errorf("QUIT: %v, %d ids", err, len(ids))
			}
			t.Logf("%d round trips", c.RoundTrips())
		})
	}
}
