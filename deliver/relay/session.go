package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"

	"github.com/emersion/go-smtp"

	"popfetch/deliver"
	"popfetch/internal/spool"
)

// session is one connection to the server, after LHLO. It belongs to one goroutine at a
// time.
type session struct {
	r      *Relay
	conn   *conn
	client *smtp.Client
	used   bool // for a message before
	broken bool // no command may follow
	inData bool // the last message may have been accepted, although no reply says so
}

// open connects and greets the server. Errors are of scope Place.
func (r *Relay) open(ctx context.Context) (*session, error) {
	timeout := cmp.Or(r.Timeout, defaultTimeout)
	d := net.Dialer{Timeout: timeout}
	raw, err := d.DialContext(ctx, r.Network, r.Address)
	if ctx.Err() != nil {
		if err == nil {
			raw.Close()
		}
		return nil, r.interrupted(ctx)
	}
	if err != nil {
		return nil, r.unreachable(err)
	}
	c := &conn{Conn: raw, timeout: timeout, grace: cmp.Or(r.grace, defaultGrace)}
	s := &session{r: r, conn: c, client: smtp.NewClientLMTP(c)}
	s.client.CommandTimeout = timeout
	s.client.SubmissionTimeout = max(timeout, cmp.Or(r.final, defaultFinal))
	stop := context.AfterFunc(ctx, c.interrupt)
	err = s.client.Hello(cmp.Or(r.Name, "localhost"))
	if stop() && err == nil {
		c.open = true
		return s, nil
	}
	c.Close()
	if ctx.Err() != nil {
		return nil, r.interrupted(ctx)
	}
	var reply *smtp.SMTPError
	if errors.Is(err, errNoLHLO) {
		return nil, r.fail(deliver.Place, false, "the port of LMTP is often 24; port 25 is that of SMTP", errNoLHLO)
	}
	if !errors.As(err, &reply) {
		return nil, r.unreachable(fmt.Errorf("greeting and LHLO: %w", reason(err)))
	}
	return nil, r.fail(deliver.Place, reply.Code/100 != 5, "", said("greeting and LHLO", reply))
}

// send sends one message.
func (s *session) send(sender string, m *spool.Spool) error {
	s.used, s.inData = true, false
	if most, ok := s.client.MaxMessageSize(); ok && most > 0 && m.Size() > int64(most) { // RFC 1870
		return s.r.fail(deliver.Message, false, "", fmt.Errorf("the message has %d octets, and the server takes %d at most", m.Size(), most))
	}
	if err := s.envelope(sender, m.Size()); err != nil {
		return err
	}
	w, err := s.client.Data()
	if err != nil {
		return s.failed("DATA", err)
	}
	// From here on the connection must be closed unless the message is sent whole: any
	// other end would make the server accept a part.
	if err := s.copy(w, m.Reader()); err != nil {
		s.broken = true
		return err
	}
	s.inData = true
	s.conn.awaitFinal(true)
	_, err = w.CloseWithLMTPResponse()
	s.conn.awaitFinal(false)
	var reply *smtp.SMTPError
	if errors.As(err, &reply) && reply.Code/100 == 2 { // the library knows 250 alone
		err = nil
	}
	if err != nil {
		return s.failed("end of the message", err)
	}
	return nil
}

// copy sends the text of a message. The library doubles the dots at the beginning of lines.
func (s *session) copy(w io.Writer, text io.Reader) error {
	source := &errorReader{Reader: text}
	_, err := io.CopyBuffer(struct{ io.Writer }{w}, source, make([]byte, 32<<10))
	switch {
	case err == nil:
		return nil
	case source.err != nil:
		return s.r.fail(deliver.Place, true, "", fmt.Errorf("read the spool: %w", source.err))
	}
	return s.failed("message", err)
}

// errorReader keeps the error of a reader, to tell it from that of a writer.
type errorReader struct {
	io.Reader
	err error
}

func (e *errorReader) Read(p []byte) (int, error) {
	n, err := e.Reader.Read(p)
	if err != nil && err != io.EOF {
		e.err = err
	}
	return n, err
}

// envelope begins a message of size octets.
func (s *session) envelope(sender string, size int64) error {
	options := &smtp.MailOptions{Size: size}
	if !ascii(s.r.Recipient) {
		if ok, _ := s.client.Extension("SMTPUTF8"); !ok { // RFC 6531 section 3.2
			return s.r.fail(deliver.Place, false, "write the recipient in ASCII", errors.New("the recipient is not ASCII, and the server does not offer SMTPUTF8"))
		}
		options.UTF8 = true
	}
	if err := s.client.Mail(sender, options); err != nil {
		return s.failed("MAIL FROM:<"+sender+">", err)
	}
	if err := s.client.Rcpt(s.r.Recipient, nil); err != nil {
		return s.failed("RCPT TO:<"+s.r.Recipient+">", err)
	}
	return nil
}

// ask begins a message and gives it up.
func (s *session) ask() error {
	if err := s.envelope("", 0); err != nil {
		return err
	}
	s.reset()
	return nil
}

// reset ends the message that has begun.
func (s *session) reset() {
	if err := s.client.Reset(); err != nil {
		s.broken = true
	}
}

// quit ends the session. The server's reply is worth little time.
func (s *session) quit() {
	s.client.CommandTimeout = s.conn.grace
	s.conn.timeout = s.conn.grace
	_ = s.client.Quit() // everything is delivered or not by now
	s.conn.Close()
}

// failed returns the error for a step that did not succeed, and decides whether the session
// can go on.
func (s *session) failed(step string, err error) error {
	var reply *smtp.SMTPError
	if !errors.As(err, &reply) {
		// The message, not the place: one that makes the server fail must not keep
		// the others. If the server is gone, the next connection says so.
		s.broken = true
		return s.r.fail(deliver.Message, true, "", fmt.Errorf("%s: %w", step, reason(err)))
	}
	why := said(step, reply)
	if reply.Code == 421 { // RFC 5321 section 3.8: the server closes the connection
		s.broken, s.inData = true, false
		return s.r.fail(deliver.Message, true, "", why)
	}
	s.inData = false
	s.reset()
	switch {
	case reply.Code/100 != 5: // unknown replies are temporary too
		return s.r.fail(deliver.Message, true, "", why)
	case reply.Code == 530, reply.Code == 535: // RFC 4954 section 6
		return s.r.fail(deliver.Place, false, "the server wants a login here; popfetch delivers by LMTP without one", why)
	case strings.HasPrefix(step, "RCPT") && badAddress(reply.EnhancedCode):
		return s.r.fail(deliver.Place, false, "the key recipient says who gets the mail; its default is the user of the account", why)
	}
	return s.r.fail(deliver.Message, false, "", why)
}

// badAddress reports whether an enhanced status code (RFC 3463 section 3.2) is about the
// address of the recipient, which is the same for every message.
func badAddress(code smtp.EnhancedCode) bool {
	return code[0] == 5 && code[1] == 1 && (1 <= code[2] && code[2] <= 6 || code[2] == 10)
}

// maxQuote is how many octets of a reply an error shows.
const maxQuote = 300

// said quotes the reply to a step.
func said(step string, reply *smtp.SMTPError) error {
	text := reply.Message
	if c := reply.EnhancedCode; c != (smtp.EnhancedCode{}) {
		text = fmt.Sprintf("%d.%d.%d %s", c[0], c[1], c[2], text)
	}
	if len(text) > maxQuote {
		text = text[:maxQuote] + "..."
	}
	return fmt.Errorf("%s: the server said %d %q", step, reply.Code, text)
}

// reason puts an error of the connection into words.
func reason(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the server closed the connection (%w)", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server did not answer in time (%w)", err)
	}
	if text := err.Error(); len(text) > maxQuote || strings.ContainsFunc(text, func(r rune) bool { return r < ' ' }) {
		return fmt.Errorf("%.*q", maxQuote, text)
	}
	return err
}

// CheckAddress returns why s cannot be the address of a recipient, "" if it can: it would not be
// one address, or one parameter, on the line of a command.
func CheckAddress(s string) string {
	switch {
	case s == "":
		return "is empty"
	case len(s) > 320: // 64 for the local part, "@", 255 for the domain
		return "is too long"
	case strings.ContainsAny(s, "<>") || strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r == 0x7f }):
		return "is not an address: it contains a space, a bracket or a control character"
	}
	return ""
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > 0x7f })
}
