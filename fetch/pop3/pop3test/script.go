package pop3test

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
)

// Script is a server that plays a written dialog. Text has one step a line:
//
//	S: +OK hello       send the line with CRLF
//	S-raw: "+OK\r"     send these octets, quoted as in Go
//	C: CAPA            the client must send this line with CRLF
//	C: AUTH PLAIN *    … or one that begins so
//	TLS                the TLS handshake
//	DROP               end the connection: FIN, inside TLS without close_notify
//	RESET              end the connection: RST
//	STALL              nothing more until the client ends the connection
//	---                the next connection
//	# words            a comment
//
// Steps between two C lines are sent in one write. Behind the last step the
// server ends the connection, and the client must have nothing more to say. The
// fields are set before Start.
type Script struct {
	Text string
	// TLS replaces the server's own certificate, see CA.
	TLS *tls.Config

	listener net.Listener
	config   *tls.Config
	done     chan struct{}
	err      error // valid once done is closed

	mu     sync.Mutex
	conn   net.Conn
	closed bool
}

// step is one line of a script.
type step struct {
	line int
	verb string // "S", "C", "TLS", "DROP", "RESET", "STALL"
	text string // octets to send; line to expect
}

// Start parses Text and listens on a free port of 127.0.0.1.
func (s *Script) Start() error {
	dialogs, err := parseScript(s.Text)
	if err != nil {
		return err
	}
	if s.config, err = serverTLS(s.TLS); err != nil {
		return err
	}
	if s.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return fmt.Errorf("start pop3test script: %w", err)
	}
	s.done = make(chan struct{})
	go func() {
		defer close(s.done)
		defer s.listener.Close()
		for _, d := range dialogs {
			if s.err = s.play(d); s.err != nil {
				return
			}
		}
	}()
	return nil
}

// Addr returns host:port.
func (s *Script) Addr() string { return s.listener.Addr().String() }

// CA returns a pool that trusts the certificate, as Server.CA does.
func (s *Script) CA() *x509.CertPool { return caPool(s.config) }

// Wait returns when the script is over: nil when it was played to its end, else
// the first mismatch.
func (s *Script) Wait() error {
	<-s.done
	return s.err
}

// Close ends what is still going on and returns what Wait does. A script that
// was not played to its end is an error.
func (s *Script) Close() error {
	s.mu.Lock()
	s.closed = true
	if s.conn != nil {
		s.conn.Close()
	}
	s.mu.Unlock()
	s.listener.Close()
	return s.Wait()
}

func parseScript(text string) ([][]step, error) {
	dialogs := [][]step{nil}
	for i, line := range strings.Split(text, "\n") {
		line = strings.TrimRight(strings.TrimLeft(line, " \t"), "\r")
		word, rest, _ := strings.Cut(line, ":")
		rest = strings.TrimPrefix(rest, " ")
		s := step{line: i + 1, verb: strings.TrimSpace(word), text: rest}
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			continue
		case line == "---":
			dialogs = append(dialogs, nil)
			continue
		case strings.HasPrefix(line, "S: ") || line == "S:":
			s.text += "\r\n"
		case strings.HasPrefix(line, "S-raw: "):
			raw, err := strconv.Unquote(strings.TrimSpace(rest))
			if err != nil {
				return nil, fmt.Errorf("script line %d: %q: octets are quoted as in Go", i+1, line)
			}
			s.verb, s.text = "S", raw
		case strings.HasPrefix(line, "C: "):
		case s.verb == line && (line == "TLS" || line == "DROP" || line == "RESET" || line == "STALL"):
		default:
			return nil, fmt.Errorf("script line %d: %q: not a step", i+1, line)
		}
		last := len(dialogs) - 1
		dialogs[last] = append(dialogs[last], s)
	}
	return dialogs, nil
}

// errorf says at which step the dialog went wrong.
func (st step) errorf(format string, args ...any) error {
	return fmt.Errorf("script line %d: %w", st.line, fmt.Errorf(format, args...))
}

// play plays one connection.
func (s *Script) play(dialog []step) error {
	at := step{}
	if len(dialog) > 0 {
		at = dialog[0]
	}
	tcp, err := s.listener.Accept()
	if err != nil {
		return at.errorf("no client came: %w", err)
	}
	defer tcp.Close()
	s.mu.Lock()
	s.conn = tcp
	closed := s.closed
	s.mu.Unlock()
	if closed {
		return at.errorf("closed: %w", net.ErrClosed)
	}
	p := &player{script: s, raw: tcp.(*net.TCPConn), conn: tcp, in: bufio.NewReader(tcp)}
	for _, at = range dialog {
		if over, err := p.step(at); err != nil || over {
			return err
		}
	}
	if err := p.flush(); err != nil {
		return at.errorf("send: %w", err)
	}
	if c, ok := p.conn.(*tls.Conn); ok {
		c.CloseWrite()
	}
	p.raw.CloseWrite()
	// However it ends, by the client or by Close, is fine.
	if more, _ := p.in.ReadString('\n'); len(more) > 0 {
		return fmt.Errorf("behind the end of the script: client sent %q", more)
	}
	return nil
}

// player is one connection of a script.
type player struct {
	script *Script
	raw    *net.TCPConn
	conn   net.Conn
	in     *bufio.Reader
	out    []byte
}

func (p *player) flush() error {
	_, err := p.conn.Write(p.out)
	p.out = nil
	return err
}

// step does one step. It is over behind one that ends the connection.
func (p *player) step(st step) (over bool, err error) {
	if st.verb == "S" {
		p.out = append(p.out, st.text...)
		return false, nil
	}
	if err := p.flush(); err != nil {
		return true, st.errorf("send: %w", err)
	}
	switch st.verb {
	case "C":
		return false, p.expect(st)
	case "TLS":
		conn := tls.Server(p.raw, p.script.config)
		if err := conn.Handshake(); err != nil {
			return true, st.errorf("TLS handshake: %w", err)
		}
		p.conn, p.in = conn, bufio.NewReader(conn)
		return false, nil
	case "RESET":
		p.raw.SetLinger(0)
		p.raw.Close()
		return true, nil
	case "DROP":
		p.raw.CloseWrite()
	}
	io.Copy(io.Discard, p.raw)
	return true, nil
}

func (p *player) expect(st step) error {
	got, err := p.in.ReadString('\n')
	if err != nil {
		return st.errorf("expected %q, client sent %q and no more: %w", st.text, got, err)
	}
	line, ended := strings.CutSuffix(got, "\r\n")
	same := line == st.text
	if prefix, any := strings.CutSuffix(st.text, "*"); any {
		same = strings.HasPrefix(line, prefix)
	}
	if !ended || !same {
		return st.errorf("expected %q, client sent %q", st.text, got)
	}
	return nil
}
