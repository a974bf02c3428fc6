package pop3

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// slowly sends s with a pause before each octet, until the client goes away.
func slowly(w io.Writer, s string, pause time.Duration) {
	for i := range len(s) {
		time.Sleep(pause)
		if _, err := io.WriteString(w, s[i:i+1]); err != nil {
			return
		}
	}
}

// inBubble runs a client against a server function, in a synctest bubble.
func inBubble(t *testing.T, server func(conn net.Conn, r *bufio.Reader), test func(t *testing.T, conn net.Conn)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe()
		done := make(chan struct{})
		go func() {
			defer close(done)
			defer conn.Close()
			server(conn, bufio.NewReader(conn))
		}()
		test(t, client)
		client.Close()
		<-done
	})
}

func wantTimeout(t *testing.T, err error, start time.Time, after time.Duration, text string) {
	t.Helper()
	if !errors.Is(err, os.ErrDeadlineExceeded) || !strings.Contains(err.Error(), text) {
		t.Errorf("got %v, want a timeout of %s", err, text)
	}
	if d := time.Since(start); d != after {
		t.Errorf("after %v, want %v", d, after)
	}
}

func TestSilenceEnds(t *testing.T) {
	silent := func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }
	deaf := func(conn net.Conn, _ *bufio.Reader) {
		io.WriteString(conn, "+OK\r\n")
		time.Sleep(time.Hour)
	}
	for _, tt := range []struct {
		name   string
		server func(net.Conn, *bufio.Reader)
		o      Options
		want   string
	}{
		{"greeting", silent, Options{Security: ClearText}, "greeting: no whole reply within 1m0s"},
		{"greeting that trickles", func(conn net.Conn, _ *bufio.Reader) {
			slowly(conn, "+OK "+strings.Repeat("x", 1000), time.Second)
		}, Options{Security: ClearText}, "greeting: no whole reply within 1m0s"},
		{"STLS", func(conn net.Conn, r *bufio.Reader) {
			io.WriteString(conn, "+OK\r\n")
			r.ReadString('\n')
			io.Copy(io.Discard, r)
		}, Options{Security: StartTLS}, "STLS: no whole reply within 1m0s"},
		{"STLS not taken", deaf, Options{Security: StartTLS}, "STLS: no whole reply within 1m0s"},
		{"handshake", silent, Options{}, "TLS handshake with h: not finished within 1m0s"},
		{"handshake that trickles", func(conn net.Conn, r *bufio.Reader) {
			go io.Copy(io.Discard, r)
			slowly(conn, "\x16\x03\x03\x40\x00"+strings.Repeat("\x02", 1000), time.Second)
		}, Options{}, "TLS handshake with h: not finished within 1m0s"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, tt.server, func(t *testing.T, conn net.Conn) {
				start := time.Now()
				_, err := NewClient(t.Context(), conn, "h", &tt.o)
				wantTimeout(t, err, start, time.Minute, tt.want)
			})
		})
	}
}

// logged plays the login and then its argument.
func logged(rest func(net.Conn, *bufio.Reader)) func(net.Conn, *bufio.Reader) {
	return func(conn net.Conn, r *bufio.Reader) {
		io.WriteString(conn, "+OK\r\n")
		for range 2 {
			r.ReadString('\n')
			io.WriteString(conn, "+OK\r\n")
		}
		rest(conn, r)
	}
}

func login(t *testing.T, conn net.Conn) *Client {
	t.Helper()
	c, err := NewClient(t.Context(), conn, "h", &Options{Security: ClearText, Timeout: 30 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.UserPass("u", "secret"); err != nil {
		t.Fatal(err)
	}
	return c
}

// A message that arrives faster than 1024 octets in each timeout is received.
func TestSlowBody(t *testing.T) {
	for _, tt := range []struct {
		name  string
		pause time.Duration
		ok    bool
	}{{"fast enough", 25 * time.Millisecond, true}, {"too slow", 51 * time.Millisecond, false}} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, logged(func(conn net.Conn, r *bufio.Reader) {
				r.ReadString('\n')
				io.WriteString(conn, "+OK\r\n")
				slowly(conn, strings.Repeat("x", 4998)+"\r\n.\r\n", tt.pause)
				io.Copy(io.Discard, r)
			}), func(t *testing.T, conn net.Conn) {
				c := login(t, conn)
				start := time.Now()
				var got int64
				var last error
				for m, err := range c.Retr([]int{1}, nil) {
					if last = err; err == nil {
						got, _ = io.Copy(io.Discard, m.Body)
					}
				}
				if tt.ok {
					if got != 5000 || last != nil {
						t.Errorf("%d octets, %v", got, last)
					}
					return
				}
				wantTimeout(t, last, start, 30*time.Second, "RETR 1 after 588 octets of the message: less than 1024 octets")
				if !errors.Is(c.Broken(), os.ErrDeadlineExceeded) {
					t.Errorf("broken by %v", c.Broken())
				}
			})
		})
	}
}

func TestSlowListing(t *testing.T) {
	inBubble(t, logged(func(conn net.Conn, r *bufio.Reader) {
		r.ReadString('\n')
		io.WriteString(conn, "+OK\r\n")
		slowly(conn, strings.Repeat("1 x\r\n", 100), time.Second)
	}), func(t *testing.T, conn net.Conn) {
		c := login(t, conn)
		start := time.Now()
		var last error
		for _, err := range c.Uidl() {
			last = err
		}
		wantTimeout(t, last, start, 30*time.Second, "UIDL: less than 1024 octets of the reply within 30s")
	})
}

// The time that the caller spends does not count against the server.
func TestSlowCaller(t *testing.T) {
	inBubble(t, logged(func(conn net.Conn, r *bufio.Reader) {
		r.ReadString('\n')
		io.WriteString(conn, "+OK\r\n")
		io.WriteString(conn, "one\r\n")
		io.WriteString(conn, "two\r\n.\r\n")
		io.Copy(io.Discard, r)
	}), func(t *testing.T, conn net.Conn) {
		c := login(t, conn)
		for m, err := range c.Retr([]int{1}, nil) {
			if err != nil {
				t.Fatal(err)
			}
			var b [5]byte
			io.ReadFull(m.Body, b[:])
			time.Sleep(time.Hour)
			if rest, err := io.ReadAll(m.Body); string(rest) != "two\r\n" || err != nil {
				t.Errorf("%q, %v", rest, err)
			}
		}
	})
}

// A server may take the whole timeout to delete. If it has nothing to delete, Quit waits
// 10 seconds.
func TestQuitWaitsForDeletions(t *testing.T) {
	silent := func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }
	answering := func(conn net.Conn, r *bufio.Reader) {
		for {
			line, err := r.ReadString('\n')
			if err != nil || line == "QUIT\r\n" {
				return
			}
			io.WriteString(conn, "+OK\r\n")
		}
	}
	for name, tt := range map[string]struct {
		before func(*Client) error
		wait   time.Duration
	}{
		"nothing marked": {func(*Client) error { return nil }, 10 * time.Second},
		"marked":         {dele, 30 * time.Second}, // the timeout of login
		"marked and reset": {func(c *Client) error {
			return cmp.Or(dele(c), c.Rset())
		}, 10 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, logged(func(conn net.Conn, r *bufio.Reader) { answering(conn, r); silent(conn, r) }),
				func(t *testing.T, conn net.Conn) {
					c := login(t, conn)
					if err := tt.before(c); err != nil {
						t.Fatal(err)
					}
					start := time.Now()
					wantTimeout(t, c.Quit(), start, tt.wait, "QUIT: no whole reply within "+tt.wait.String())
				})
		})
	}
}

func dele(c *Client) error {
	for _, err := range c.Dele([]int{1}) {
		if err != nil {
			return err
		}
	}
	return nil
}

// The end of the context ends every kind of wait, with its cause.
func TestContextEndsWaits(t *testing.T) {
	cause := errors.New("shutting down")
	for _, tt := range []struct {
		name string
		o    Options
		send string
	}{
		{"greeting", Options{Security: ClearText}, ""},
		{"handshake", Options{}, ""},
		{"write", Options{Security: StartTLS}, "+OK\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(conn net.Conn, _ *bufio.Reader) {
				io.WriteString(conn, tt.send)
				time.Sleep(time.Hour)
			}, func(t *testing.T, conn net.Conn) {
				ctx, cancel := context.WithCancelCause(t.Context())
				time.AfterFunc(7*time.Second, func() { cancel(cause) })
				start := time.Now()
				_, err := NewClient(ctx, conn, "h", &tt.o)
				if d := time.Since(start); !errors.Is(err, cause) || d != 7*time.Second {
					t.Errorf("after %v: %v", d, err)
				}
			})
		})
	}
}

func TestContextBetweenCommands(t *testing.T) {
	cause := errors.New("shutting down")
	synctest.Test(t, func(t *testing.T) {
		client, conn := net.Pipe()
		go logged(func(_ net.Conn, r *bufio.Reader) {
			if rest, _ := io.ReadAll(r); len(rest) > 0 {
				t.Errorf("sent after the end: %q", rest)
			}
		})(conn, bufio.NewReader(conn))
		ctx, cancel := context.WithCancelCause(t.Context())
		c, err := NewClient(ctx, client, "h", &Options{Security: ClearText})
		if err != nil {
			t.Fatal(err)
		}
		if err := c.UserPass("u", "secret"); err != nil {
			t.Fatal(err)
		}
		cancel(cause)
		if err := c.Noop(); !errors.Is(err, cause) {
			t.Errorf("got %v", err)
		}
		if err := c.Quit(); !errors.Is(err, cause) || !errors.Is(err, ErrBroken) {
			t.Errorf("got %v", err)
		}
		synctest.Wait()
	})
}

// A context that ends between its check and the call that sets a deadline still ends the
// wait.
func TestContextAgainstMovingDeadlines(t *testing.T) {
	cause := errors.New("shutting down")
	for range 200 {
		client, server := net.Pipe()
		ctx, cancel := context.WithCancelCause(context.Background())
		l := newLink(ctx, client)
		go func() {
			for {
				if _, err := server.Write([]byte("x")); err != nil {
					return
				}
			}
		}()
		done := make(chan error)
		go func() {
			var b [1]byte
			for {
				l.whole(time.Hour)
				if _, err := l.Read(b[:]); err != nil {
					done <- err
					return
				}
			}
		}()
		go cancel(cause)
		if err := <-done; !errors.Is(err, cause) {
			t.Fatal(err)
		}
		l.Close()
		server.Close()
	}
}

// Close in another goroutine ends a wait.
func TestCloseEndsAWait(t *testing.T) {
	inBubble(t, logged(func(_ net.Conn, r *bufio.Reader) { io.Copy(io.Discard, r) }),
		func(t *testing.T, conn net.Conn) {
			c := login(t, conn)
			time.AfterFunc(time.Second, func() { c.Close() })
			if err := c.Noop(); err == nil {
				t.Error("no error")
			}
			if err := c.Quit(); !errors.Is(err, ErrBroken) {
				t.Errorf("got %v", err)
			}
			if err := c.Close(); err != nil {
				t.Error(err)
			}
		})
}
