package pop3

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"testing"

	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// peer plays the server's side of a script. Its lines are
//
//	S: text    sends text and CRLF
//	S= "text"  sends a Go string as it is
//	C: text    expects this line from the client
//	CLOSE      closes the connection
//
// and empty lines. After the last one nothing more may come from the client.
type peer struct {
	script string
	tear   int // octets in each write; 0 = all that is sent between two reads
	cut    int // octets after which the connection ends; 0 = it does not
}

// play runs the script on conn and closes it. A nil result means that
// the client did what the script says.
func (p peer) play(conn net.Conn) error {
	defer conn.Close()
	r := bufio.NewReader(conn)
	var out []byte
	sent := 0
	flush := func() error {
		for len(out) > 0 {
			n := len(out)
			if p.tear > 0 {
				n = min(n, p.tear)
			}
			if p.cut > 0 {
				n = min(n, p.cut-sent)
			}
			if _, err := conn.Write(out[:n]); err != nil {
				return fmt.Errorf("client went away, %d octets unsent: %w", len(out), err)
			}
			out, sent = out[n:], sent+n
			if p.cut > 0 && sent == p.cut {
				return errCut
			}
		}
		return nil
	}
	for line := range strings.Lines(p.script) {
		line = strings.TrimSpace(line)
		verb, text, _ := strings.Cut(line, " ")
		switch verb {
		case "":
		case "S:":
			out = append(out, text+"\r\n"...)
		case "S=":
			raw, err := strconv.Unquote(text)
			if err != nil {
				return fmt.Errorf("script: %s: %w", line, err)
			}
			out = append(out, raw...)
		case "C:":
			if err := flush(); err != nil {
				return err
			}
			got, err := r.ReadString('\n')
			if err != nil {
				return fmt.Errorf("want %q: %q, %w", text, got, err)
			}
			if got != text+"\r\n" {
				return fmt.Errorf("want %q, got %q", text, got)
			}
		case "CLOSE":
			return flush()
		default:
			return fmt.Errorf("script: what is %q?", line)
		}
	}
	if err := flush(); err != nil {
		return err
	}
	if rest, _ := io.ReadAll(r); len(rest) > 0 {
		return fmt.Errorf("not in the script: %q", rest)
	}
	return nil
}

var errCut = fmt.Errorf("cut as told")

// dial connects a client to the peer over a pipe and checks at the end
// of the test that the script was followed.
func (p peer) dial(t *testing.T, o *Options) (*Client, error) {
	t.Helper()
	client, server := net.Pipe()
	return p.serve(t, o, client, server)
}

// dialTCP is dial over a connection that buffers, which pipelining needs.
func (p peer) dialTCP(t *testing.T, o *Options) (*Client, error) {
	t.Helper()
	client, server := tcpPair(t)
	return p.serve(t, o, client, server)
}

func (p peer) serve(t *testing.T, o *Options, client, server net.Conn) (*Client, error) {
	t.Helper()
	done := make(chan error, 1)
	go func() { done <- p.play(server) }()
	c, err := NewClient(t.Context(), client, "pop.example.org", o)
	t.Cleanup(func() {
		if c != nil {
			c.Close()
		}
		if err := <-done; err != nil && err != errCut {
			t.Errorf("script: %v", err)
		}
	})
	return c, err
}

func tcpPair(t *testing.T) (client, server net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if client, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if server, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	return client, server
}

// PlayForExample returns the client's end of a connection to a server that
// follows a script.
func PlayForExample(script string) net.Conn {
	client, server := net.Pipe()
	go peer{script: script}.play(server)
	return client
}

// greeted is the beginning of a script up to the state TRANSACTION.
const greeted = `
	S: +OK hi
	C: USER u
	S: +OK
	C: PASS secret
	S: +OK
`

// connect plays a script that begins with the greeting.
func connect(t *testing.T, script string) *Client {
	t.Helper()
	c, err := peer{script: script}.dial(t, &Options{Security: ClearText})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// transaction plays a script from state TRANSACTION on.
func transaction(t *testing.T, script string) *Client {
	t.Helper()
	c := connect(t, greeted+script)
	if err := c.UserPass("u", "secret"); err != nil {
		t.Fatal(err)
	}
	return c
}

// pipelined is transaction over TCP with PIPELINING.
func pipelined(t *testing.T, script string) *Client {
	t.Helper()
	c, err := peer{script: `
		S: +OK hi
		C: CAPA
		S: +OK
		S: USER
		S: UIDL
		S: TOP
		S: PIPELINING
		S: .
		C: USER u
		S: +OK
		C: PASS secret
		S: +OK
	` + script}.dialTCP(t, &Options{Security: ClearText, Pipelining: PipelineAuto})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := c.Login(Credentials{User: "u", Password: "secret"}); err != nil {
		t.Fatal(err)
	}
	return c
}
