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

// without is what a session does not ask for, because an earlier one of the same poll
// ended behind a refusal of it.
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

// planWithout makes the plan in another session if the server has closed this one behind
// a refusal of TOP or LIST, which the plan can do without.
func (p *poll) planWithout(how Opening, err error) error {
	var closed *deniedError
	if !errors.As(err, &closed) || p.life.reason() != nil {
		return err
	}
	switch verb, _, _ := strings.Cut(closed.refused.Command, " "); verb {
	case "LIST":
		p.without.list, how.Next = true, []string{"UIDL"}
	case "TOP":
		p.without.top = true
	default:
		return err
	}
	p.log.Info("trying again without what was refused", "reason", err)
	p.visit.close()
	next, again := p.login(how)
	if again != nil {
		return err
	}
	p.visit = next
	return next.makePlan()
}
