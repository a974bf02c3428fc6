package login

import (
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"

	"popfetch/internal/mechanism"
)

// maxChallenges is how many challenges of one login are answered.
const maxChallenges = 16

// Exchange is one SASL exchange, whose messages are in base 64.
type Exchange struct {
	Name string // of the mechanism

	m          sasl.Client
	initial    []byte // not yet sent, nil = none
	challenges int
	gaveUp     error // why the client has ended the exchange
}

// Begin begins the exchange of a mechanism.
func Begin(m sasl.Client) (*Exchange, error) {
	name, initial, err := m.Start()
	return &Exchange{Name: name, m: m, initial: initial}, err
}

// Initial returns the initial response, for the line of the command; false if there is none,
// or if the line would have more than most octets then. A response that does not go there is
// the answer to the first challenge.
func (e *Exchange) Initial(most int) (string, bool) {
	if e.initial == nil {
		return "", false
	}
	text := base64.StdEncoding.EncodeToString(e.initial)
	if text == "" {
		text = "=" // an empty one is not none. RFC 4954 section 4, RFC 4959 section 3
	}
	if len(text) > most {
		return "", false
	}
	e.initial = nil
	return text, true
}

// Answer returns the answer to a challenge. It is "*", which ends the exchange, if there is
// none; the server refuses the login then. RFC 9051 section 6.2.2, RFC 4954 section 4. The
// error is that of a server that goes on nevertheless.
func (e *Exchange) Answer(challenge string) (string, error) {
	if e.gaveUp != nil {
		return "", fmt.Errorf("the server goes on asking: %w", e.gaveUp)
	}
	answer, err := e.next(challenge)
	if err != nil {
		e.gaveUp = err
		return "*", nil
	}
	return base64.StdEncoding.EncodeToString(answer), nil
}

func (e *Exchange) next(challenge string) ([]byte, error) {
	if e.challenges++; e.challenges > maxChallenges {
		return nil, fmt.Errorf("the server has sent more than %d challenges", maxChallenges)
	}
	if e.initial != nil { // whatever the challenge says
		initial := e.initial
		e.initial = nil
		return initial, nil
	}
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
	if err != nil {
		return nil, fmt.Errorf("the server's challenge is not base64: %w", err)
	}
	return e.m.Next(decoded)
}

// ErrSkipped is a server that has accepted a login before the exchange was complete. It may not
// be the one that knows the password.
var ErrSkipped = errors.New("the server has accepted the login before the exchange was complete")

// Accepted returns why a login that the server has accepted must not be used, nil if it may.
func (e *Exchange) Accepted() error {
	proof, proves := e.m.(interface{ Done() bool })
	if e.gaveUp != nil || e.initial != nil || proves && !proof.Done() {
		return ErrSkipped
	}
	return nil
}

// Refused returns the error for a login that the server has refused: the reason of the client,
// if it has ended the exchange, or the refusal with what the server has said of a token.
func (e *Exchange) Refused(refusal error) error {
	if e.gaveUp != nil {
		return e.gaveUp
	}
	token, ok := e.m.(*mechanism.Bearer)
	if !ok || token.Refusal() == nil || token.Refusal().Status == "" {
		return refusal
	}
	return fmt.Errorf("%w (status %q)", refusal, token.Refusal().Status)
}
