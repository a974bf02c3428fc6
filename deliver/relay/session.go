package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"unicode/utf8"

	"popfetch/deliver"
	"popfetch/internal/durable"
	"popfetch/internal/login"
	"popfetch/internal/spool"
)

// session is the use of one Client. It belongs to one goroutine at a time.
type session struct {
	r      *Relay
	client *Client
	used   bool // for a message before
	broken bool // no command may follow
	inData bool // the last message may have been accepted, although no reply says so
}

// dial connects and logs in. Errors are of scope Place.
func (r *Relay) dial(ctx context.Context) (*session, error) {
	connect := r.Connect
	if connect == nil {
		connect = func(ctx context.Context) (*Client, error) {
			return Dial(ctx, r.Network, r.Address, Options{SMTP: r.SMTP, Name: r.Name, Timeout: r.Timeout, final: r.final, grace: r.grace})
		}
	}
	c, err := connect(ctx)
	if err == nil {
		return &session{r: r, client: c}, nil
	}
	var denied *login.Error
	var refused *Refusal
	answered := errors.As(err, &refused)
	switch {
	case ctx.Err() != nil:
		return nil, r.interrupted(ctx)
	case errors.Is(err, deliver.ErrLogin):
		return nil, r.fail(deliver.Place, false, "", err)
	case errors.As(err, &denied) && !denied.Passing():
		return nil, r.fail(deliver.Place, false, "", fmt.Errorf("%w: %w", deliver.ErrLogin, err))
	case errors.Is(err, errNoLHLO):
		return nil, r.fail(deliver.Place, false, "the port of LMTP is often 24; port 25 is that of SMTP", errNoLHLO)
	case answered:
		return nil, r.fail(deliver.Place, refused.Passing(), "", err)
	case errors.Is(err, errNoStartTLS):
		return nil, r.fail(deliver.Place, false, "", err)
	}
	return nil, r.unreachable(reason(err))
}

// unreachable returns the error for a server that does not answer.
func (r *Relay) unreachable(err error) error {
	hint := fmt.Sprintf("is the %s server running, and does the key %s name its socket or its address?", r.protocol(), r.kind())
	if r.Network != "unix" {
		hint = fmt.Sprintf("is the %s server running, and does the key %s name its address and its kind of TLS?", r.protocol(), r.kind())
	}
	if errors.Is(err, fs.ErrPermission) {
		hint = durable.Explain(err).Hint
	}
	return r.fail(deliver.Place, true, hint, err)
}

// send sends one message to recipients and returns which of them have accepted it. The error
// is why the others have not.
func (s *session) send(sender string, recipients []string, m *spool.Spool) (accepted []string, err error) {
	s.used, s.inData = true, false
	if most := s.client.maxSize(); most > 0 && m.Size() > most { // RFC 1870
		return nil, s.r.fail(deliver.Message, false, "", fmt.Errorf("the message has %d octets, and the server takes %d at most", m.Size(), most))
	}
	if err := s.checkASCII(recipients); err != nil {
		return nil, err
	}
	refused, err := s.client.open(envelope{sender, recipients, m.Size(), needsUTF8(recipients, m.Head())}, "DATA")
	if err != nil {
		return nil, s.failed("", []error{err})
	}
	var open []string
	for i, to := range recipients {
		if refused[i] == nil {
			open = append(open, to)
		}
	}
	if len(open) == 0 {
		return nil, s.failed("", refused)
	}
	// From here on the connection must be closed unless the message is sent whole: any
	// other end would make the server accept a part.
	if err := s.client.text(m.Reader()); err != nil {
		s.broken = true
		var source *spoolError
		if errors.As(err, &source) {
			return nil, s.r.fail(deliver.Place, true, "", err)
		}
		return nil, s.failed("message", []error{err})
	}
	s.inData = true
	s.client.conn.awaitFinal(true)
	defer s.client.conn.awaitFinal(false)
	if err := s.client.endText(); err != nil {
		return nil, s.failed(endOfMessage, []error{err})
	}
	accepted, results := s.results(open)
	refused = slices.DeleteFunc(append(refused, results...), func(err error) bool { return err == nil })
	if len(refused) == 0 {
		return accepted, nil
	}
	return accepted, s.failed(endOfMessage, refused)
}

const endOfMessage = "end of the message"

// results reads the replies to a message: one from SMTP, one for each recipient from LMTP
// (RFC 2033 section 4.2).
func (s *session) results(recipients []string) (accepted []string, refused []error) {
	if s.r.SMTP {
		if err := s.verdict(endOfMessage); err != nil {
			return nil, []error{err}
		}
		return recipients, nil
	}
	for _, to := range recipients {
		step := endOfMessage
		if len(s.r.Recipients) > 1 {
			step += " for <" + to + ">"
		}
		err := s.verdict(step)
		switch {
		case err == nil:
			accepted = append(accepted, to)
		default:
			refused = append(refused, err)
		}
		if err != nil && !errors.As(err, new(*Refusal)) {
			break // no more replies will come
		}
	}
	return accepted, refused
}

var errBrokenOff = errors.New("the reply of the server broke off")

// verdict reads the reply to a whole message, nil if it was accepted. A reply that breaks off
// has told that with its first line, and the message must not be sent again.
func (s *session) verdict(step string) error {
	if s.broken {
		return errBrokenOff
	}
	r, err := s.client.expect(step, 250, s.client.final)
	if err != nil && r != nil && r.code/100 == 2 {
		s.broken = true
		return nil
	}
	return err
}

// checkASCII returns an error if a recipient is not ASCII and the server does not allow that.
// RFC 6531 section 3.2
func (s *session) checkASCII(recipients []string) error {
	if _, ok := s.client.Extension("SMTPUTF8"); ok || !slices.ContainsFunc(recipients, func(to string) bool { return !ascii(to) }) {
		return nil
	}
	return s.r.fail(deliver.Place, false, "write the recipient in ASCII", errors.New("the recipient is not ASCII, and the server does not offer SMTPUTF8"))
}

// needsUTF8 reports whether a message is one for SMTPUTF8: a recipient is not ASCII, or the
// header block is UTF-8 that is not ASCII. Other octets are sent as they are.
func needsUTF8(recipients []string, head []byte) bool {
	if slices.ContainsFunc(recipients, func(to string) bool { return !ascii(to) }) {
		return true
	}
	block, _, _ := strings.Cut(string(head), "\r\n\r\n")
	return !ascii(block) && utf8.ValidString(block)
}

// ask begins a message and gives it up.
func (s *session) ask() error {
	if err := s.checkASCII(s.r.Recipients); err != nil {
		return err
	}
	refused, err := s.client.open(envelope{recipients: s.r.Recipients, utf8: needsUTF8(s.r.Recipients, nil)}, "")
	if err != nil {
		return s.failed("", []error{err})
	}
	if refused = slices.DeleteFunc(refused, func(err error) bool { return err == nil }); len(refused) > 0 {
		return s.failed("", refused)
	}
	s.reset()
	return nil
}

// reset ends the message that has begun.
func (s *session) reset() {
	if s.client.stuck {
		s.broken = true
		return
	}
	if err := s.client.reset(); err != nil {
		s.broken = true
	}
}

// failed returns the error for a step that did not succeed, and decides whether the session
// can go on. Of several reasons the last one that is no reply counts, or else one that may
// pass. step is for an error that does not say it.
func (s *session) failed(step string, reasons []error) error {
	var said []string
	var worst *Refusal
	for _, err := range reasons {
		var refused *Refusal
		if !errors.As(err, &refused) {
			// The message, not the place: one that makes the server fail must not keep
			// the others. If the server is gone, the next connection says so.
			s.broken = true
			why := reason(err)
			if step != "" {
				why = fmt.Errorf("%s: %w", step, why)
			}
			lost := s.r.fail(deliver.Message, true, "", why)
			lost.Unclear = s.inData
			return lost
		}
		said = append(said, err.Error())
		if worst == nil || refused.Passing() {
			worst = refused
		}
	}
	why := error(worst)
	if len(said) > 1 {
		why = errors.New(strings.Join(said, "; "))
	}
	s.inData = false
	if worst.Code == 421 { // RFC 5321 section 3.8: the server closes the connection
		s.broken = true
		return s.r.fail(deliver.Message, true, "", why)
	}
	s.reset()
	switch {
	case worst.Passing(): // unknown replies are temporary too
		return s.r.fail(deliver.Message, true, "", why)
	case worst.Code == 530, worst.Code == 535: // RFC 4954 section 6
		return s.r.fail(deliver.Place, false, s.r.loginHint(), why)
	case len(s.r.Recipients) == 1 && strings.HasPrefix(worst.Step, "RCPT") && badAddress(worst.Enhanced):
		return s.r.fail(deliver.Place, false, "the key recipient says who gets the mail; its default is the user of the account", why)
	}
	hint := ""
	if s.client.offersLogin() && strings.HasPrefix(worst.Enhanced, "5.7.") { // RFC 3463 section 3.8
		// Postfix has the same reply for a sender whom it refuses, so that this is no error of the place.
		hint = "the server may want a login: set user and password in the table smtp"
	}
	return s.r.fail(deliver.Message, false, hint, why)
}

// loginHint is for a server that takes mail only after a login.
func (r *Relay) loginHint() string {
	if r.SMTP {
		return "the server wants a login: set user and password in the table smtp"
	}
	return "the server wants a login here; popfetch delivers by LMTP without one"
}

// badAddress reports whether an enhanced status code (RFC 3463 section 3.2) is about the
// address of the recipient, which is the same for every message.
func badAddress(code string) bool {
	return slices.Contains([]string{"5.1.1", "5.1.2", "5.1.3", "5.1.4", "5.1.5", "5.1.6", "5.1.10"}, code)
}

// reason words an error of the connection for the user.
func reason(err error) error {
	switch {
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return fmt.Errorf("the server closed the connection (%w)", err)
	case errors.Is(err, os.ErrDeadlineExceeded):
		return fmt.Errorf("the server did not answer in time (%w)", err)
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
