package pop3

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"iter"
	"math"
	"net"
	"strings"
	"testing"
	"time"
)

func numbers(n int) []int {
	nums := make([]int, n)
	for i := range nums {
		nums[i] = i + 1
	}
	return nums
}

// batches is a connection that keeps what each write carried.
type batches struct {
	net.Conn
	writes []string
}

func (b *batches) Write(p []byte) (int, error) {
	b.writes = append(b.writes, string(p))
	return b.Conn.Write(p)
}

// The replies to a window that is refilled, with a refusal in the middle, a
// body that is not read and one that is read in part.
func TestWindow(t *testing.T) {
	for _, n := range []int{1, 2, 31, 32, 33, 100} {
		t.Run(fmt.Sprint(n), func(t *testing.T) {
			client, server := tcpPair(t)
			done := make(chan struct{})
			go func() {
				defer close(done)
				defer server.Close()
				r, w := bufio.NewReader(server), bufio.NewWriter(server)
				for i := 1; ; i++ {
					line, err := r.ReadString('\n')
					if err != nil {
						return
					}
					if line == "STAT\r\n" {
						fmt.Fprintf(w, "+OK\r\n")
						w.Flush()
						i--
						continue
					}
					if line != fmt.Sprintf("RETR %d\r\n", i) {
						t.Errorf("got %q for %d", line, i)
					}
					if i%7 == 0 {
						fmt.Fprintf(w, "-ERR none\r\n")
					} else {
						fmt.Fprintf(w, "+OK %d octets\r\nbody %d\r\n%s\r\n.\r\n", i, i, strings.Repeat("x", 10_000))
					}
					w.Flush()
				}
			}()
			conn := &batches{Conn: client}
			c := &Client{ctx: t.Context(), timeout: defaultTimeout, link: newLink(t.Context(), conn), state: Transaction}
			defer func() { c.Close(); <-done }()
			c.opts.Pipelining = PipelineAuto
			c.caps.add("pipelining")
			c.lines.conn = c.link
			c.lines.r = bufio.NewReaderSize(&c.lines, bufferSize)

			seen := 0
			for m, err := range c.Retr(numbers(n), nil) {
				seen++
				if m.Num != seen {
					t.Fatalf("message %d, want %d", m.Num, seen)
				}
				var refused *ResponseError
				if seen%7 == 0 {
					if !errors.As(err, &refused) || refused.Command != fmt.Sprintf("RETR %d", seen) {
						t.Errorf("got %v", err)
					}
					if _, err := m.Body.Read(nil); err == nil {
						t.Error("a refused message can be read")
					}
					continue
				}
				if err != nil || m.Octets != int64(seen) {
					t.Fatalf("%d octets, %v", m.Octets, err)
				}
				switch seen % 3 {
				case 0: // not read
				case 1:
					want := fmt.Sprintf("body %d\r\n", seen)
					part := make([]byte, len(want))
					if _, err := io.ReadFull(m.Body, part); err != nil || string(part) != want {
						t.Errorf("%q, %v", part, err)
					}
				case 2:
					if _, err := io.Copy(io.Discard, m.Body); err != nil {
						t.Error(err)
					}
				}
			}
			if c.Confirmed() != n {
				t.Errorf("%d of %d replies are confirmed", c.Confirmed(), n)
			}
			if seen != n || c.Broken() != nil {
				t.Errorf("%d of %d, %v", seen, n, c.Broken())
			}
			const firstWindow = firstAhead / unknownOctets
			if trips := c.RoundTrips(); trips > len(conn.writes) || (trips == 1) != (n <= firstWindow) {
				t.Errorf("%d round trips with %d writes", trips, len(conn.writes))
			}
			if first := strings.Count(conn.writes[0], "RETR"); first != min(n, firstWindow) {
				t.Errorf("%d commands in the first write", first)
			}
			if most := 1 + (n+firstWindow/2-1)/(firstWindow/2); len(conn.writes) > most {
				t.Errorf("%d writes, want at most %d", len(conn.writes), most)
			}
		})
	}
}

func TestPipelinedDele(t *testing.T) {
	c := pipelined(t, `
		C: DELE 3
		C: DELE 1
		C: DELE 2
		S: +OK
		S: -ERR no
		S: +OK
		C: QUIT
		S: +OK
	`)
	var got []string
	for num, err := range c.Dele([]int{3, 1, 2}) {
		got = append(got, fmt.Sprint(num, err))
	}
	if s := strings.Join(got, "; "); s != `3 <nil>; 1 DELE 1: server said "-ERR no"; 2 <nil>` {
		t.Error(s)
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
	if c.RoundTrips() != 4 { // CAPA, login, DELE, QUIT
		t.Errorf("%d round trips", c.RoundTrips())
	}
}

// QUIT goes out with the DELEs. A refused DELE does not keep the server from UPDATE.
func TestDeleAndQuitShareAFlight(t *testing.T) {
	c := pipelined(t, `
		C: DELE 3
		C: DELE 1
		C: DELE 2
		C: QUIT
		S: +OK
		S: -ERR no
		S: +OK
		S: +OK
	`)
	var got []string
	for num, err := range c.DeleThenQuit([]int{3, 1, 2}) {
		got = append(got, fmt.Sprint(num, err))
	}
	if s := strings.Join(got, "; "); s != `3 <nil>; 1 DELE 1: server said "-ERR no"; 2 <nil>` {
		t.Error(s)
	}
	if err := c.Quit(); err != nil || c.State() != Update {
		t.Errorf("%v, state %v", err, c.State())
	}
	if c.RoundTrips() != 3 { // CAPA, login, DELE with QUIT
		t.Errorf("%d round trips", c.RoundTrips())
	}
}

// Only the last DELEs share a flight with QUIT, so that QUIT is not sent after a malformed
// reply.
func TestNoQuitBehindAnEarlierWindowOutOfStep(t *testing.T) {
	var script strings.Builder
	for num := 1; num <= maxWindow; num++ {
		fmt.Fprintf(&script, "C: DELE %d\n", num)
	}
	script.WriteString("S: what?\n")
	c := pipelined(t, script.String())
	var last error
	for _, err := range c.DeleThenQuit(numbers(maxWindow + 100)) {
		last = err
	}
	var garbled *ProtocolError
	if !errors.As(last, &garbled) || !errors.Is(c.Quit(), ErrBroken) {
		t.Errorf("%v", last)
	}
}

// After a surplus reply, what is read as the reply to QUIT belongs to another command, so
// the deletions do not count as confirmed.
func TestSurplusReplyBehindQuit(t *testing.T) {
	for surplus, confirmed := range map[string]bool{"+OK bye": true, "-ERR some messages not removed": false, "what?": false} {
		c := pipelined(t, "C: DELE 1\nC: QUIT\nS: +OK\nS: +OK\nS: "+surplus)
		for _, err := range c.DeleThenQuit([]int{1}) {
			if err != nil {
				t.Error(err)
			}
		}
		if err := c.Quit(); (err == nil) != confirmed {
			t.Errorf("%s: %v", surplus, err)
		}
	}
}

// Without PIPELINING QUIT waits for the reply to the last DELE.
func TestQuitWaitsForDeleWithoutPIPELINING(t *testing.T) {
	c := pipelined(t, "C: DELE 1\nS: +OK\nC: DELE 2\nS: +OK\nC: QUIT\nS: +OK")
	c.opts.Pipelining = PipelineOff
	for _, err := range c.DeleThenQuit([]int{1, 2}) {
		if err != nil {
			t.Error(err)
		}
	}
	if err := c.Quit(); err != nil {
		t.Error(err)
	}
}

// Commands are pipelined only if the server announces PIPELINING and Options allow it.
func TestNoPipelining(t *testing.T) {
	for _, tt := range []struct {
		p     Pipelining
		offer string
		want  int
	}{
		{PipelineOff, "PIPELINING", 1}, {PipelineAuto, "TOP", 1}, {PipelineAuto, "PIPELINING", 9},
	} {
		c := &Client{opts: Options{Pipelining: tt.p}}
		c.caps.add(tt.offer)
		if got := c.window(9, 0, 0, 0); got != tt.want {
			t.Errorf("%v: window %d", tt, got)
		}
	}
}

// After a loop that was left with replies on their way nothing may be sent.
func TestBreak(t *testing.T) {
	retr := "C: RETR 1\nS: +OK\nS: x\nS: .\n"
	for _, tt := range []struct {
		name, script string
		leave        func(c *Client)
		ok           bool
	}{
		{"listing", "C: UIDL\nS: +OK\nS: 1 a\nS: 2 b\nS: .", func(c *Client) { first(c.Uidl()) }, false},
		{"listing at its last line", "C: LIST\nS: +OK\nS: 1 1\nS: .", func(c *Client) { first(c.List()) }, false},
		{"unread body", retr, func(c *Client) { first(c.Retr([]int{1}, nil)) }, false},
		{"half a body", retr, func(c *Client) {
			for m := range c.Retr([]int{1}, nil) {
				m.Body.Read(make([]byte, 1))
				break
			}
		}, false},
		{"before the last message, which was not asked for yet", retr + "C: NOOP\nS: +OK", func(c *Client) {
			for m := range c.Retr([]int{1, 2}, nil) {
				io.Copy(io.Discard, m.Body)
				break
			}
		}, true},
		{"everything was read", retr + "C: NOOP\nS: +OK", func(c *Client) {
			for m := range c.Retr([]int{1}, nil) {
				io.Copy(io.Discard, m.Body)
				break
			}
		}, true},
		{"DELE", "C: DELE 1\nS: +OK\nC: NOOP\nS: +OK", func(c *Client) { first(c.Dele([]int{1, 2})) }, true},
		{"last DELE", "C: DELE 1\nS: +OK\nC: NOOP\nS: +OK", func(c *Client) { first(c.Dele([]int{1})) }, true},
		{"panic", "C: UIDL\nS: +OK\nS: 1 a\nS: .", func(c *Client) {
			defer func() { recover() }()
			for range c.Uidl() {
				panic("the loop")
			}
		}, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := transaction(t, tt.script)
			tt.leave(c)
			if tt.ok {
				if err := c.Noop(); err != nil {
					t.Error(err)
				}
				return
			}
			for _, err := range everyCall(c) {
				if !errors.Is(err, ErrBroken) || !errors.Is(err, errLeft) {
					t.Errorf("got %v", err)
				}
			}
			if err := c.Quit(); !errors.Is(err, ErrBroken) {
				t.Errorf("QUIT: %v", err)
			}
		})
	}
}

func first[T any](seq iter.Seq2[T, error]) (T, error) {
	for v, err := range seq {
		return v, err
	}
	panic("empty")
}

// everyCall calls every method that sends something in TRANSACTION.
func everyCall(c *Client) []error {
	_, err := c.Capa()
	errs := []error{err, c.Noop(), c.Rset()}
	_, _, err = c.Stat()
	errs = append(errs, err)
	_, err = first(c.List())
	errs = append(errs, err)
	_, err = first(c.Uidl())
	errs = append(errs, err)
	_, err = first(c.Retr([]int{1}, nil))
	errs = append(errs, err)
	_, err = first(c.Top([]int{1}, 1))
	errs = append(errs, err)
	_, err = first(c.Dele([]int{1}))
	return append(errs, err)
}

func TestWrongState(t *testing.T) {
	t.Run("before login", func(t *testing.T) {
		c := connect(t, "S: +OK\nC: CAPA\nS: -ERR\n")
		for _, err := range everyCall(c)[1:] { // CAPA is allowed
			if !errors.Is(err, ErrState) {
				t.Errorf("got %v", err)
			}
		}
		if c.Broken() != nil {
			t.Error(c.Broken())
		}
	})
	t.Run("after login", func(t *testing.T) {
		c := transaction(t, "")
		_, err := c.Login(Credentials{User: "u"})
		for _, err := range []error{err, c.UserPass("u", "x"), c.Apop("u", "x"), c.Auth(steps{})} {
			if !errors.Is(err, ErrState) {
				t.Errorf("got %v", err)
			}
		}
	})
	t.Run("inside a loop", func(t *testing.T) {
		c := transaction(t, "C: RETR 1\nS: +OK\nS: x\nS: .\nC: NOOP\nS: +OK")
		for range c.Retr([]int{1}, nil) {
			for _, err := range everyCall(c) {
				if !errors.Is(err, ErrState) || !strings.Contains(err.Error(), "inside a loop over RETR") {
					t.Errorf("got %v", err)
				}
			}
		}
		if err := c.Noop(); err != nil {
			t.Error(err)
		}
	})
	t.Run("no such number", func(t *testing.T) {
		c := transaction(t, "")
		for _, num := range []int{0, -1} {
			_, err := first(c.Dele([]int{1, num}))
			m, err2 := first(c.Retr([]int{num}, nil))
			if !errors.Is(err, ErrState) || !errors.Is(err2, ErrState) || m == nil {
				t.Errorf("%v, %v", err, err2)
			}
		}
		for range c.Retr(nil, nil) {
			t.Error("a message out of nothing")
		}
	})
	t.Run("closed", func(t *testing.T) {
		c := transaction(t, "")
		c.Close()
		for _, err := range everyCall(c) {
			if !errors.Is(err, ErrBroken) || !errors.Is(err, net.ErrClosed) {
				t.Errorf("got %v", err)
			}
		}
	})
}

// Octets that nobody asked for would be taken for the next reply.
func TestUnsolicited(t *testing.T) {
	for _, tt := range []struct{ name, script string }{
		{"reply", "C: NOOP\nS: +OK\nS: +OK again"},
		{"not stuffed", "C: RETR 1\nS: +OK\nS: x\nS: .\nS: rest\nS: ."},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := transaction(t, tt.script)
			if strings.HasPrefix(tt.script, "C: RETR") {
				for range c.Retr([]int{1}, nil) {
				}
			} else if err := c.Noop(); err != nil {
				t.Fatal(err)
			}
			if err := c.Quit(); !isProtocolError(err) {
				t.Errorf("got %v", err)
			}
		})
	}
}

// A body that is read after its step of the loop returns an error, not io.EOF.
func TestStaleBody(t *testing.T) {
	c := transaction(t, "C: RETR 1\nS: +OK\nS: x\nS: .\nC: RETR 2\nS: +OK\nS: y\nS: .")
	var kept io.Reader
	for m := range c.Retr([]int{1, 2}, nil) {
		if kept != nil {
			if n, err := kept.Read(make([]byte, 8)); n != 0 || err == nil || err == io.EOF {
				t.Errorf("read %d, %v", n, err)
			}
		}
		kept = m.Body
	}
}

// A hundred messages of an ordinary size are asked for at once, and few large ones.
func TestFirstWindowFollowsTheSizes(t *testing.T) {
	for name, tt := range map[string]struct {
		octets []int64 // of 1000 messages, over and over
		want   int
	}{
		"ordinary":     {[]int64{4 << 10, 8 << 10, 100 << 10, 20 << 10, 60 << 10}, 108},
		"small":        {[]int64{700}, maxWindow},
		"empty":        {[]int64{0}, maxWindow},
		"large":        {[]int64{50 << 20}, minWindow},
		"unknown":      {[]int64{-1}, 32},
		"endless":      {[]int64{math.MaxInt64}, minWindow},
		"a large one":  {[]int64{1, 1, 1, 1, 1, 5 << 20, 1}, 6},
		"many unknown": {[]int64{1, -1}, 64},
	} {
		b := batch{nums: numbers(1000), octets: func(k int) int64 { return tt.octets[k%len(tt.octets)] }}
		if got := b.firstWindow(); got != tt.want {
			t.Errorf("%s: window %d, want %d", name, got, tt.want)
		}
	}
}

// The window depends on the length of the replies, their speed and the round trip.
func TestWindowFollowsTheReplies(t *testing.T) {
	const mega = 1 << 20
	for _, tt := range []struct {
		replies, octets int64
		took, trip      time.Duration
		want            int
	}{
		{0, 0, 0, 0, 9},
		{1, 0, time.Second, 0, maxWindow},
		{10, 1000, time.Second, 0, maxWindow},
		{10, mega, time.Second, 0, 10},        // a megabyte a second: so much of it
		{100, 10 * mega, time.Second, 0, 100}, // ten times as fast
		{100, 10 * mega, time.Second, 100 * time.Millisecond, 100},
		{100, 10 * mega, time.Second, 500 * time.Millisecond, 200}, // two seconds are no more than four round trips
		{100, 10 * mega, time.Hour, 0, 10},                         // slow: the least
		{10, 100 * mega, time.Millisecond, 0, minWindow},           // fast: the most
		{100, 100 * mega, time.Millisecond, 0, 32},
		{100, 100 * mega, 0, 0, 32},
		{1, 2 << 30, time.Second, 0, minWindow},
	} {
		c := &Client{roundTrip: tt.trip}
		c.caps.add("PIPELINING")
		if got := c.window(9, tt.replies, tt.octets, tt.took); got != tt.want {
			t.Errorf("%+v: window %d", tt, got)
		}
	}
}

// The round trip is the shortest time from a flight to its first reply.
func TestRoundTripTime(t *testing.T) {
	delays := []time.Duration{300 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}
	inBubble(t, logged(func(conn net.Conn, r *bufio.Reader) {
		for _, d := range delays {
			r.ReadString('\n')
			time.Sleep(d)
			io.WriteString(conn, "+OK\r\n")
		}
	}), func(t *testing.T, conn net.Conn) {
		c := login(t, conn)
		c.roundTrip = 0
		for i, want := range []time.Duration{300 * time.Millisecond, 100 * time.Millisecond, 100 * time.Millisecond} {
			if err := c.Noop(); err != nil || c.roundTrip != want {
				t.Errorf("%d: %v, %v, want %v", i, c.roundTrip, err, want)
			}
		}
	})
}
