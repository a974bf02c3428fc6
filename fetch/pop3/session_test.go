package pop3

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
)

// wholeSession uses every command. Its bodies hold octets that are easily damaged.
const wholeSession = `
	S: +OK hi
	C: CAPA
	S: +OK
	S: TOP
	S: UIDL
	S: USER
	S: SASL PLAIN LOGIN
	S: .
	C: AUTH PLAIN AHUAc2VjcmV0
	S: +OK
	C: CAPA
	S: +OK
	S: TOP
	S: UIDL
	S: .
	C: STAT
	S: +OK 3 1030
	C: LIST
	S: +OK
	S: 1 10
	S: 2 20
	S: 3 1000
	S: .
	C: UIDL
	S: +OK
	S: 1 a
	S: 2 b c
	S: 3 d
	S: .
	C: TOP 1 0
	S: +OK
	S: Subject: x
	S= "\r\n.\r\n"
	C: RETR 1
	S: +OK 10 octets
	S= "a\r\n..\r\n.\n.\r\n..x\x00\r\r\n.\r\n"
	C: RETR 2
	S: -ERR gone
	C: RETR 3
	S: +OK
	S: .
	C: DELE 1
	S: +OK
	C: DELE 3
	S: -ERR no
	C: NOOP
	S: +OK
	C: RSET
	S: +OK
	C: QUIT
	S: +OK
`

// runSession plays the client of wholeSession and returns what it received.
func runSession(c *Client) (seen string, err error) {
	var log strings.Builder
	note := func(format string, args ...any) { fmt.Fprintf(&log, format+"\n", args...) }
	var refused *ResponseError
	defer func() { seen = log.String() }()

	if _, err := c.Login(Credentials{User: "u", Password: "secret"}); err != nil {
		return "", err
	}
	n, octets, err := c.Stat()
	if err != nil {
		return "", err
	}
	note("stat %d %d", n, octets)
	for l, err := range c.List() {
		if err != nil {
			return "", err
		}
		note("list %d %d", l.Num, l.Octets)
	}
	for u, err := range c.Uidl() {
		if err != nil {
			return "", err
		}
		note("uidl %d %s", u.Num, u.ID)
	}
	for m, err := range c.Top([]int{1}, 0) {
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(m.Body)
		if err != nil {
			continue // yielded once more by the loop
		}
		note("top %d %d %q", m.Num, m.Octets, b)
	}
	for m, err := range c.Retr([]int{1, 2, 3}, nil) {
		if errors.As(err, &refused) {
			note("retr %d %v", m.Num, err)
			continue
		}
		if err != nil {
			return "", err
		}
		b, err := io.ReadAll(m.Body)
		if err != nil {
			continue
		}
		note("retr %d %d %q", m.Num, m.Octets, b)
	}
	for num, err := range c.Dele([]int{1, 3}) {
		if err != nil && !errors.As(err, &refused) {
			return "", err
		}
		note("dele %d %v", num, err)
	}
	if err := c.Noop(); err != nil {
		return "", err
	}
	if err := c.Rset(); err != nil {
		return "", err
	}
	note("end")
	return "", c.Quit()
}

const wholeSeen = `stat 3 1030
list 1 10
list 2 20
list 3 1000
uidl 1 a
uidl 2 b c
uidl 3 d
top 1 -1 "Subject: x\r\n\r\n"
retr 1 10 "a\r\n.\r\n\n.\r\n.x\x00\r\r\n"
retr 2 RETR 2: server said "-ERR gone"
retr 3 -1 ""
dele 1 <nil>
dele 3 DELE 3: server said "-ERR no"
end
`

func TestWholeSessionInSegmentsOfEverySize(t *testing.T) {
	for tear := range 20 {
		c, err := peer{script: wholeSession, tear: tear}.dial(t, &Options{Security: ClearText})
		if err != nil {
			t.Fatal(err)
		}
		seen, err := runSession(c)
		if err != nil || seen != wholeSeen {
			t.Fatalf("tear %d: %v\n%s", tear, err, seen)
		}
		if got := c.State(); got != Update {
			t.Errorf("state %v", got)
		}
		if got := c.RoundTrips(); got != 15 {
			t.Errorf("%d round trips", got)
		}
		if err := c.Noop(); !errors.Is(err, ErrState) {
			t.Errorf("after QUIT: %v", err)
		}
	}
}

// The connection ends after each octet of what the server sends.
func TestWholeSessionCutEverywhere(t *testing.T) {
	total := 0
	for line := range strings.Lines(wholeSession) {
		text := strings.TrimSpace(line)
		if s, ok := strings.CutPrefix(text, "S: "); ok {
			total += len(s) + 2
		}
	}
	total += len("\r\n.\r\n") + len("a\r\n..\r\n.\n.\r\n..x\x00\r\r\n.\r\n")
	for cut := 1; cut <= total; cut++ {
		t.Run(fmt.Sprint(cut), func(t *testing.T) {
			c, err := peer{script: wholeSession, cut: cut}.dial(t, &Options{Security: ClearText})
			var seen string
			if err == nil {
				seen, err = runSession(c)
			}
			if !strings.HasPrefix(wholeSeen, seen) {
				t.Fatalf("saw what was not sent:\n%s", seen)
			}
			if cut == total {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			if !errors.Is(err, io.ErrUnexpectedEOF) && !errors.Is(err, io.ErrClosedPipe) {
				t.Fatalf("got %v", err)
			}
			if c != nil && c.State() != Update {
				if again := c.Quit(); !errors.Is(again, ErrBroken) || !errors.Is(again, err) && !errors.Is(again, io.ErrUnexpectedEOF) {
					t.Fatalf("QUIT on a broken client: %v", again)
				}
			}
		})
	}
}

func TestDotReaderStopsAtTheEnd(t *testing.T) {
	c := transaction(t, `
		C: RETR 1
		S: +OK
		S= "x\r\n.\r\n"
		C: RETR 2
		S: +OK
		S= "y\r\n.\r\n"
	`)
	var all bytes.Buffer
	for m, err := range c.Retr([]int{1, 2}, nil) {
		if err != nil {
			t.Fatal(err)
		}
		io.Copy(&all, m.Body)
		if n, err := m.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the end: %d, %v", n, err)
		}
	}
	if all.String() != "x\r\ny\r\n" {
		t.Errorf("%q", all.String())
	}
}
