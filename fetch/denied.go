package fetch

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"syscall"

	"popfetch/fetch/pop3"
)

// deniedError is a command that the server refused, whereupon it closed the connection,
// as Exchange does. Another session does without that command.
type deniedError struct {
	refused *pop3.ResponseError
}

func (e *deniedError) Error() string {
	return fmt.Sprintf("%v, and closed the connection", e.refused)
}

// Unwrap returns the refusal.
func (e *deniedError) Unwrap() error { return e.refused }

// unansweredError is a command to which the server gave no reply that ends as POP3 demands:
// it closed the connection, fell silent, or sent what makes no sense. Another session does
// without that command.
type unansweredError struct {
	verb string
	err  error
}

func (e *unansweredError) Error() string { return e.err.Error() }

// Unwrap returns what broke the session.
func (e *unansweredError) Unwrap() error { return e.err }

// unanswered returns an *unansweredError if err has broken the session, and otherwise err.
func (v *visit) unanswered(verb string, err error) error {
	if err == nil || v.session.Broken() == nil || v.life.Err() != nil {
		return err
	}
	return &unansweredError{verb, err}
}

// connectionEnded reports whether an error of a session says that the server has closed
// the connection.
func connectionEnded(err error) bool {
	for _, end := range []error{io.EOF, io.ErrUnexpectedEOF, syscall.ECONNRESET, syscall.EPIPE} {
		if errors.Is(err, end) {
			return true
		}
	}
	return false
}

// without is what a session does not ask for, because an earlier one broke over it.
type without struct{ top, list bool }

// stillOpen returns a *deniedError if the server has closed the connection behind the
// refusal, nil for none, of the latest command.
func (v *visit) stillOpen(refused *pop3.ResponseError) error {
	if refused == nil {
		return nil
	}
	return denied(refused, v.probe())
}

// denied returns a *deniedError if err, which followed a refusal, is the end of the
// connection, and otherwise err. Both may be nil.
func denied(refused *pop3.ResponseError, err error) error {
	if refused == nil || !connectionEnded(err) {
		return err
	}
	return &deniedError{refused}
}

// brokenOver returns the command over which the server has broken the session, "" for
// another error.
func brokenOver(err error) string {
	if closed, ok := errors.AsType[*deniedError](err); ok {
		verb, _, _ := strings.Cut(closed.refused.Command, " ")
		return verb
	}
	if broken, ok := errors.AsType[*unansweredError](err); ok && !errors.As(err, new(*pop3.AheadError)) {
		return broken.verb
	}
	return ""
}

// planWithout makes the plan in another session if the server has broken this one over TOP
// or LIST, which the plan can do without. The next polls do without LIST too, for the
// server may refuse a second session now.
func (p *poll) planWithout(how Opening, err error) error {
	if p.life.reason() != nil {
		return err
	}
	verb := brokenOver(err)
	switch {
	case verb == "LIST" && !p.without.list:
		p.without.list, p.facts.NoSizes = true, p.when.Now
	case verb == "TOP" && !p.without.top:
		p.without.top = true
	default:
		return err
	}
	p.log.Info("trying again without "+verb, "reason", err)
	p.visit.close()
	next, again := p.login(p.asking(how))
	if again != nil {
		return err
	}
	p.visit = next
	return p.planWithout(how, next.makePlan())
}
