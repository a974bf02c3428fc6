package relay

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"time"

	"popfetch/internal/mask"
)

// Security is how a connection is protected.
type Security int

const (
	ClearText   Security = iota
	StartTLS             // RFC 3207; a server without it is refused
	ImplicitTLS          // TLS from the first octet, RFC 8314
)

// Options are how to connect. The zero value is LMTP in clear text.
type Options struct {
	SMTP     bool   // SMTP in place of LMTP
	Name     string // of this machine, for EHLO or LHLO; "" = localhost
	Security Security
	TLS      *tls.Config // for any Security but ClearText
	// Dial makes the connection, nil = net.Dialer.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Timeout is how long to wait for a connection, for the reply to a command, and until
	// the server takes the next 4 KiB of a message; 0 = 1 minute. The reply to a whole
	// message has 10 minutes, or Timeout if that is longer.
	Timeout time.Duration
	Log     *slog.Logger // of the dialog, at level debug and without secrets; nil = none

	final time.Duration // for the reply to a message; 0 = 10 minutes
	grace time.Duration // for a reply that is due when the context ends; 0 = 2 seconds
}

// Client is a connection to a server that takes mail, after EHLO or LHLO. It belongs to one
// goroutine at a time. After an error that is no *Refusal only Close may be called.
//
// The library go-smtp waits for the reply to each command and has no way to send several
// (RFC 2920); it also takes any reply but 250 to a message for a refusal.
type Client struct {
	opts       Options
	conn       *conn
	in         *bufio.Reader
	out        *bufio.Writer
	extensions map[string]string // by name in upper case
	secured    *tls.ConnectionState

	command, final time.Duration // see Options
	secrets        mask.Secrets  // of the login: no log and no error shows them
	stuck          bool          // the server waits for a message that nobody will send
}

// Dial connects, greets the server and secures the connection.
func Dial(ctx context.Context, network, addr string, o Options) (*Client, error) {
	o.Timeout = cmp.Or(o.Timeout, defaultTimeout)
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.Dial == nil {
		o.Dial = (&net.Dialer{Timeout: o.Timeout}).DialContext
	}
	raw, err := o.Dial(ctx, network, addr)
	if err != nil {
		return nil, err
	}
	c := &Client{
		opts: o, conn: &conn{Conn: raw, timeout: o.Timeout, grace: cmp.Or(o.grace, defaultGrace)},
		command: o.Timeout, final: max(o.Timeout, cmp.Or(o.final, defaultFinal)),
	}
	c.use(c.conn)
	stop := context.AfterFunc(ctx, c.conn.interrupt)
	err = c.begin()
	if !stop() && err == nil {
		err = context.Cause(ctx)
	}
	if err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// use reads from and writes to conn from now on.
func (c *Client) use(conn net.Conn) {
	c.in = bufio.NewReaderSize(conn, maxLine)
	c.out = bufio.NewWriterSize(conn, 4<<10)
}

func (c *Client) begin() error {
	if c.opts.Security == ImplicitTLS {
		if err := c.handshake(); err != nil {
			return err
		}
	}
	if _, err := c.expect("greeting", 220, c.command); errors.As(err, new(*Refusal)) {
		return err
	} else if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if err := c.hello(); err != nil || c.opts.Security != StartTLS {
		return err
	}
	if _, ok := c.Extension("STARTTLS"); !ok {
		return errNoStartTLS
	}
	if _, err := c.do("STARTTLS", 220); err != nil {
		return err
	}
	if c.in.Buffered() > 0 { // it came in clear text and would count as protected
		return errors.New("the server said more before TLS began")
	}
	if err := c.handshake(); err != nil {
		return err
	}
	return c.hello() // what came in clear text does not count. RFC 3207 section 4.2
}

var errNoStartTLS = errors.New("the server does not offer STARTTLS, so the connection would stay in clear text")

// handshake begins TLS.
func (c *Client) handshake() error {
	secured := tls.Client(c.conn, c.opts.TLS)
	c.conn.limit(c.command)
	if err := secured.Handshake(); err != nil {
		return fmt.Errorf("TLS: %w", err)
	}
	state := secured.ConnectionState()
	c.secured = &state
	c.use(secured)
	return nil
}

// hello greets the server, and learns its extensions. RFC 5321 section 4.1.1.1
func (c *Client) hello() error {
	c.extensions = make(map[string]string)
	name := cmp.Or(c.opts.Name, "localhost")
	verb := "LHLO" // RFC 2033 section 4.1
	if c.opts.SMTP {
		verb = "EHLO"
	}
	r, err := c.do(verb+" "+name, 250)
	var refused *Refusal
	if errors.As(err, &refused) && (refused.Code == 500 || refused.Code == 502) {
		if !c.opts.SMTP {
			return errNoLHLO
		}
		_, err := c.do("HELO "+name, 250)
		return err
	}
	if err != nil {
		return err
	}
	for _, line := range r.lines[1:] {
		keyword, parameters, _ := strings.Cut(line, " ")
		c.extensions[strings.ToUpper(keyword)] = parameters
	}
	return nil
}

// Extension returns the parameters of an extension, and whether the server has announced it.
func (c *Client) Extension(name string) (parameters string, ok bool) {
	parameters, ok = c.extensions[name]
	return parameters, ok
}

// TLS returns the state of TLS, nil in clear text.
func (c *Client) TLS() *tls.ConnectionState { return c.secured }

// maxSize returns the length in octets of the largest message, 0 = not known. RFC 1870
func (c *Client) maxSize() int64 {
	text, _ := c.Extension("SIZE")
	n, err := strconv.ParseInt(text, 10, 64)
	if err != nil || n < 0 {
		return 0
	}
	return n
}

// reply is what the server says to one step.
type reply struct {
	code  int
	lines []string // without code
}

// Refusal is a reply that does not mean success.
type Refusal struct {
	Step     string // a command or what was sent
	Code     int
	Enhanced string // enhanced status code (RFC 3463), "" = none
	Text     string
}

// Error implements error. It is one line.
func (r *Refusal) Error() string {
	text := r.Text
	if len(text) > maxQuote {
		text = text[:maxQuote] + "..."
	}
	return fmt.Sprintf("%s: the server said %d %q", r.Step, r.Code, text)
}

// Passing reports whether another attempt may succeed. An unknown code may pass.
func (r *Refusal) Passing() bool { return r.Code/100 != 5 }

// refusal returns r as the Refusal of a step.
func (c *Client) refusal(r *reply, step string) *Refusal {
	text := c.secrets.Conceal(strings.Join(r.lines, "\n"))
	refused := &Refusal{Step: step, Code: r.code, Text: text}
	first, _, _ := strings.Cut(text, " ")
	if parts := strings.Split(first, "."); len(parts) == 3 && (parts[0] == "2" || parts[0] == "4" || parts[0] == "5") {
		refused.Enhanced = first
		// Each line repeats it. RFC 2034 section 4
		refused.Text = first + " " + strings.ReplaceAll(strings.TrimPrefix(text, first+" "), "\n"+first+" ", "\n")
	}
	return refused
}

const (
	// maxLine is the length in octets of the longest line of a reply, with room to spare.
	// RFC 5321 section 4.5.3.1.5
	maxLine = 4 << 10
	// maxQuote is how many octets of a reply an error shows.
	maxQuote = 300
)

// do sends a command and reads its reply. A reply with a code of another hundred than want
// is a *Refusal.
func (c *Client) do(line string, want int) (*reply, error) {
	if err := c.send(line); err != nil {
		return nil, err
	}
	return c.expect(line, want, c.command)
}

// send sends a command.
func (c *Client) send(line string) error {
	c.opts.Log.Debug("client", "line", line)
	c.out.WriteString(line + "\r\n") // an error stays in out
	return c.flush()
}

func (c *Client) flush() error { return c.out.Flush() }

// expect reads the reply to a step, for which the server has the time limit.
func (c *Client) expect(step string, want int, limit time.Duration) (*reply, error) {
	r, err := c.reply(limit)
	if err != nil {
		return nil, err
	}
	if r.code/100 != want/100 {
		return nil, c.refusal(r, step)
	}
	return r, nil
}

// reply reads one reply. RFC 5321 section 4.2.1
func (c *Client) reply(limit time.Duration) (*reply, error) {
	c.conn.limitRead(limit)
	r := new(reply)
	for {
		line, err := c.in.ReadSlice('\n')
		if err == bufio.ErrBufferFull {
			return nil, fmt.Errorf("the server sent a line of more than %d octets", maxLine)
		}
		if err != nil {
			return nil, err
		}
		text := strings.TrimRight(string(line), "\r\n")
		code, convErr := strconv.Atoi(text[:min(3, len(text))])
		if len(text) < 3 || convErr != nil || code < 200 || code > 599 || len(text) > 3 && text[3] != ' ' && text[3] != '-' ||
			r.code != 0 && r.code != code {
			return nil, fmt.Errorf("the server sent %.*q, which is no reply", maxQuote, c.secrets.Conceal(text))
		}
		r.code = code
		r.lines = append(r.lines, text[min(4, len(text)):])
		if len(text) == 3 || text[3] == ' ' {
			if c.opts.Log.Enabled(context.Background(), slog.LevelDebug) {
				c.opts.Log.Debug("server", "code", code, "text", c.secrets.Conceal(strings.Join(r.lines, "\n")))
			}
			return r, nil
		}
	}
}

// Close drops the connection.
func (c *Client) Close() error { return c.conn.Close() }

// quit ends the session. The server's reply is worth little time.
func (c *Client) quit() {
	c.conn.timeout, c.command = c.conn.grace, c.conn.grace
	_, _ = c.do("QUIT", 221) // everything is delivered or not by now
	c.Close()
}

// reset ends the transaction that has begun.
func (c *Client) reset() error {
	_, err := c.do("RSET", 250)
	return err
}

// envelope is who sends a message to whom.
type envelope struct {
	sender     string
	recipients []string
	size       int64 // of the message in octets, 0 = not known
	utf8       bool  // the header block or a recipient is not ASCII (RFC 6531)
}

// commands returns the commands of the envelope.
func (c *Client) commands(e envelope) []string {
	mail := "MAIL FROM:<" + e.sender + ">"
	if _, ok := c.Extension("8BITMIME"); ok { // RFC 6152
		mail += " BODY=8BITMIME"
	}
	if _, ok := c.Extension("SIZE"); ok && e.size > 0 {
		mail += fmt.Sprintf(" SIZE=%d", e.size)
	}
	if _, ok := c.Extension("SMTPUTF8"); ok && e.utf8 {
		mail += " SMTPUTF8"
	}
	lines := []string{mail}
	for _, to := range e.recipients {
		lines = append(lines, "RCPT TO:<"+to+">")
	}
	return lines
}

// open sends the envelope, and the command end after it if that is not "". With the extension
// PIPELINING (RFC 2920) that is one flight. It returns why each recipient is refused, and the
// last error: that of MAIL or of end. An error that is no *Refusal ends the connection.
func (c *Client) open(e envelope, end string) (refused []error, err error) {
	lines := c.commands(e)
	if end != "" {
		lines = append(lines, end)
	}
	_, flight := c.Extension("PIPELINING")
	if flight {
		for _, line := range lines {
			c.opts.Log.Debug("client", "line", line)
			c.out.WriteString(line + "\r\n")
		}
		if err := c.flush(); err != nil {
			return nil, err
		}
	}
	refused = make([]error, len(e.recipients))
	accepted := 0
	for i, line := range lines {
		if !flight {
			if err != nil || line == end && accepted == 0 {
				break
			}
			if err := c.send(line); err != nil {
				return nil, err
			}
		}
		want := 250
		if line == end {
			want = 354
		}
		step := line
		if i == 0 {
			step, _, _ = strings.Cut(line, " BODY=")
			step, _, _ = strings.Cut(step, " SIZE=")
		}
		_, failed := c.expect(step, want, c.command)
		var no *Refusal
		if failed != nil && !errors.As(failed, &no) || no != nil && no.Code == 421 {
			return nil, failed
		}
		switch {
		case i > 0 && i <= len(refused):
			refused[i-1] = failed
			if failed == nil {
				accepted++
			}
		case line != end:
			err = failed // of MAIL: what follows is refused because of it
		case err == nil && accepted > 0:
			err = failed
		case failed == nil:
			// The server waits for a message for which it has accepted no recipient.
			// Whatever is sent now, even its end alone, might be taken for mail.
			c.stuck = true
		}
	}
	return refused, err
}

// text sends the text of a message, whose line ends are CRLF, without its end. RFC 5321
// section 4.5.2
func (c *Client) text(r io.Reader) error {
	buf := make([]byte, 32<<10)
	begin := true // of a line
	for {
		n, readErr := r.Read(buf)
		for part := buf[:n]; len(part) > 0; {
			if begin && part[0] == '.' {
				c.out.WriteByte('.')
			}
			line := part
			if i := bytes.IndexByte(part, '\n'); i >= 0 {
				line = part[:i+1]
			}
			begin = line[len(line)-1] == '\n'
			if _, err := c.out.Write(line); err != nil {
				return err
			}
			part = part[len(line):]
		}
		if readErr == io.EOF {
			return nil
		}
		if readErr != nil {
			return &spoolError{readErr}
		}
	}
}

// endText sends the end of a text.
func (c *Client) endText() error {
	c.out.WriteString(".\r\n")
	return c.flush()
}

// spoolError is an error of the source of a text.
type spoolError struct{ err error }

func (e *spoolError) Error() string { return "read the spool: " + e.err.Error() }

// Unwrap returns the error of the source.
func (e *spoolError) Unwrap() error { return e.err }
