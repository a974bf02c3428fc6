package pop3

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"
)

// canned is a connection to a server that sends fixed octets, whatever the client sends,
// and then closes it.
type canned struct {
	net.Conn // none: what is not below is not used
	r        io.Reader
	sent     bytes.Buffer
}

func (c *canned) Read(p []byte) (int, error)       { return c.r.Read(p) }
func (c *canned) Write(p []byte) (int, error)      { return c.sent.Write(p) }
func (c *canned) SetDeadline(time.Time) error      { return nil }
func (c *canned) SetReadDeadline(time.Time) error  { return nil }
func (c *canned) SetWriteDeadline(time.Time) error { return nil }
func (c *canned) Close() error                     { return nil }

// cannedClient returns a client in TRANSACTION that receives these octets.
func cannedClient(in []byte) *Client {
	c := &Client{ctx: context.Background(), host: "h", timeout: time.Hour, state: Transaction}
	c.link = newLink(c.ctx, &canned{r: bytes.NewReader(in)})
	c.lines.conn = c.link
	c.lines.r = bufio.NewReaderSize(&c.lines, bufferSize)
	return c
}

// checkError checks the promise of the package documentation: an error of a kind that
// leaves the client in step has not broken it, and every other error has.
func checkError(t *testing.T, c *Client, err error) {
	t.Helper()
	if err == nil {
		if c.broken != nil {
			t.Fatalf("no error, but broken: %v", c.broken)
		}
		return
	}
	if len(err.Error()) > 6*maxShown {
		t.Fatalf("error of %d octets", len(err.Error()))
	}
	var (
		refused *ResponseError
		login   *AuthError
		line    *LineError
	)
	harmless := errors.As(err, &refused) || errors.As(err, &login) || errors.As(err, &line)
	if harmless == (c.broken != nil) {
		t.Fatalf("%v, broken: %v", err, c.broken)
	}
}

func FuzzReply(f *testing.F) {
	for _, s := range []string{"+OK 1 2\r\n", "-ERR [SYS/TEMP] x\r\n", "+", "-ERR [", "+OK\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c := cannedClient(in)
		checkError(t, c, c.Noop())
		c = cannedClient(in)
		n, octets, err := c.Stat()
		checkError(t, c, err)
		if n < 0 || octets < 0 {
			t.Fatalf("%d, %d", n, octets)
		}
	})
}

func FuzzCapa(f *testing.F) {
	f.Add([]byte("+OK\r\nSASL PLAIN\r\nsasl x\r\n.\r\n"))
	f.Add([]byte("-ERR\r\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := cannedClient(in)
		caps, err := c.Capa()
		checkError(t, c, err)
		if len(caps.Names()) > maxCapabilities {
			t.Fatalf("%d capabilities", len(caps.Names()))
		}
		for _, name := range caps.Names() {
			if !caps.Has(name) {
				t.Fatalf("has no %q", name)
			}
		}
	})
}

func FuzzListing(f *testing.F) {
	f.Add([]byte("+OK\r\n1 a\r\n0 x\r\n2147483648 x\r\n3\r\n.\r\n"))
	f.Add([]byte("+OK\n1 \t 99999999999999999999 x \n..\n.\n"))
	f.Fuzz(func(t *testing.T, in []byte) {
		c := cannedClient(in)
		var last error
		for u, err := range c.Uidl() {
			if last = err; err == nil && (u.Num < 1 || len(u.ID) == 0 || len(u.ID) > maxUniqueID || !bytes.Contains(in, u.ID)) {
				t.Fatalf("%+v", u)
			}
		}
		checkLast(t, c, last)
		c = cannedClient(in)
		last = nil
		for l, err := range c.List() {
			if last = err; err == nil && (l.Num < 1 || l.Octets < 0) {
				t.Fatalf("%+v", l)
			}
		}
		checkLast(t, c, last)
	})
}

// checkLast is checkError for the last error of a loop.
func checkLast(t *testing.T, c *Client, last error) {
	t.Helper()
	if last != nil || c.broken != nil {
		checkError(t, c, last)
	}
}

func FuzzSession(f *testing.F) {
	f.Add([]byte("+OK <1@x>\r\n+OK\r\nSASL PLAIN\r\nPIPELINING\r\nUIDL\r\nTOP\r\n.\r\n+OK\r\n+OK 1 2\r\n+OK\r\n1 2\r\n.\r\n+OK\r\n1 a\r\n.\r\n+OK\r\nx\r\n.\r\n-ERR\r\n+OK\r\n.\r\n+OK\r\n+OK\r\n"), uint8(3))
	f.Add([]byte("+OK\r\n-ERR\r\n+OK\r\n+OK\r\n"), uint8(0))
	f.Add([]byte("+OK\r\n+OK\r\nSASL CRAM-MD5\r\n.\r\n+ YQ==\r\n+OK\r\n"), uint8(9))
	f.Fuzz(func(t *testing.T, in []byte, choice uint8) {
		// One octet at a time keeps the replies apart as a real server does;
		// otherwise the first look at the buffer ends the session.
		conn := &canned{r: bytes.NewReader(in)}
		if choice&1 != 0 {
			conn.r = oneLine{bufio.NewReader(conn.r)}
		}
		o := &Options{Security: Security(choice >> 1 % 3), Pipelining: Pipelining(choice >> 3 % 3), Log: slog.New(slog.NewTextHandler(io.Discard, &slog.HandlerOptions{Level: LevelTrace}))}
		c, err := NewClient(context.Background(), conn, "h", o)
		if err != nil {
			return
		}
		defer c.Close()
		fuzzSession(t, c, int64(len(in)))
		quit := bytes.Contains(conn.sent.Bytes(), []byte("QUIT\r\n"))
		broken := c.broken != nil
		if err := c.Quit(); broken && (!errors.Is(err, ErrBroken) || !quit && bytes.Contains(conn.sent.Bytes(), []byte("QUIT\r\n"))) {
			t.Fatalf("QUIT of a broken client: %v", err)
		}
	})
}

// oneLine gives at most one line to each read.
type oneLine struct{ r *bufio.Reader }

func (o oneLine) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		b, err := o.r.ReadByte()
		if err != nil {
			return n, err
		}
		p[n] = b
		if n++; b == '\n' {
			break
		}
	}
	return n, nil
}

func fuzzSession(t *testing.T, c *Client, most int64) {
	_, err := c.Login(Credentials{User: "u", Password: "secret"})
	checkError(t, c, err)
	if err != nil {
		return
	}
	_, _, err = c.Stat()
	checkError(t, c, err)
	var last error
	for _, last = range c.List() {
	}
	var nums []int
	for u, err := range c.Uidl() {
		if last = err; err == nil && len(nums) < 50 {
			nums = append(nums, u.Num)
		}
	}
	var got int64
	for m, err := range c.Retr(nums, nil) {
		if last = err; m.Num%2 == 0 {
			n, _ := io.Copy(io.Discard, m.Body)
			got += n
		}
	}
	if got > most {
		t.Fatalf("%d octets out of %d", got, most)
	}
	for _, last = range c.Dele(nums) {
	}
	if last != nil && !errors.Is(last, ErrBroken) {
		checkLast(t, c, last)
	}
}
