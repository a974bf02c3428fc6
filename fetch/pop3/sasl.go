package pop3

import (
	"bytes"
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"

	"github.com/emersion/go-sasl"

	"popfetch/internal/mechanism"
)

const (
	maxCommand    = 255 // octets with CRLF. RFC 2449 section 4
	maxChallenges = 16  // of one exchange
)

// Auth logs in by a SASL mechanism. An error of m, and a challenge that m does
// not expect, cancel the exchange; what the server then says leaves the client
// in step. If m has a method Done() bool, success counts only when that is true.
// Errors are those of Login. RFC 5034 section 4
func (c *Client) Auth(m sasl.Client) error {
	if err := c.enter("AUTH", Authorization); err != nil {
		return err
	}
	return c.converse(&exchange{m: m}, false, nil, nil)
}

// exchange is one AUTH command.
type exchange struct {
	m      sasl.Client
	user   string // for errors
	single bool   // m has nothing to send but the initial response
	apart  bool   // the initial response waits for a challenge, unless the server refuses to send one
	early  bool   // the answer to the server's proof may be sent before the proof has come, see answerAhead

	method  string
	command string
	pending []byte // the initial response, if it does not fit into the command

	answered bool // the answer to the server's proof was sent, see answerAhead
}

func (x *exchange) begin(c *Client, _ bool) (all bool, err error) {
	mech, ir, err := x.m.Start()
	x.method = strings.ToLower(mech)
	if err != nil {
		return false, &AuthError{Method: x.method, User: x.user, Err: err}
	}
	x.command = "AUTH " + mech
	line, shown := x.command, x.command
	encoded := base64.StdEncoding.EncodeToString(ir)
	if ir != nil {
		// An empty one is not none. RFC 5034 section 4
		initial := cmp.Or(encoded, "=")
		if !x.apart && len(line)+1+len(initial)+len("\r\n") <= maxCommand {
			line, shown = line+" "+initial, shown+" ***"
		} else {
			x.pending = ir
		}
	}
	c.queue(x.command, line, shown)
	c.lines.secrets.Add(encoded)
	return x.single && x.pending == nil, nil
}

// end answers challenges until the server decides.
func (x *exchange) end(c *Client, last func()) error {
	for range maxChallenges {
		_, line, err := c.reply(maxChallenge)
		if err != nil {
			return err
		}
		challenge, more := continuation(line)
		if !more {
			err := x.decided(c, line)
			if x.answered && c.broken == nil {
				return x.refusedEarly(c, err)
			}
			if x.apart && x.pending != nil && plainRefusal(err) {
				x.together(c)
				continue
			}
			return err
		}
		c.lines.trace("S", "+ ***")
		if x.answered {
			return x.proof(c, challenge)
		}
		if len(c.unanswered) > 0 {
			if b, ok := x.m.(*mechanism.Bearer); ok && x.pending == nil {
				return x.refusedAhead(c, b, challenge)
			}
			return c.protocol(x.command, line, "a challenge where everything had been said")
		}
		answer, err := x.answer(challenge)
		if err != nil {
			return x.cancel(c, err)
		}
		encoded := base64.StdEncoding.EncodeToString(answer)
		c.queue(x.command, encoded, "***")
		c.lines.secrets.Add(encoded)
		if digest, ok := x.m.(*mechanism.CramMD5); ok {
			c.lines.secrets.Add(digest.Response())
		}
		if x.answerAhead(c) || x.done() {
			last()
		}
	}
	return c.protocol(x.command, nil, fmt.Sprintf("more than %d challenges", maxChallenges))
}

// answerAhead sends the answer to the server's proof together with the client's: it is
// always empty. So the login takes a round trip less, and what comes next goes out with it.
// None of that shows a secret, and nothing of the replies is believed before the proof is
// verified. RFC 5034 section 4: success has no data of its own, so the proof comes as a
// challenge.
func (x *exchange) answerAhead(c *Client) bool {
	m, ok := x.m.(interface{ AwaitsProof() bool })
	if !ok || !x.early || !m.AwaitsProof() || c.caps.Asked && !c.Pipelined() {
		return false
	}
	c.queue(x.command, "", "***")
	x.answered = true
	return true
}

// proof verifies the proof of the server, which has the answer already, and reads its
// decision.
func (x *exchange) proof(c *Client, challenge []byte) error {
	answer, err := x.answer(challenge)
	if err == nil && (len(answer) > 0 || !x.done()) {
		err = sasl.ErrUnexpectedServerChallenge
	}
	if err != nil {
		return x.refusedEarly(c, &AuthError{Method: x.method, User: x.user, Err: err})
	}
	c.countReply()
	c.proved = true
	_, line, err := c.reply(maxStatus)
	if err != nil {
		return err
	}
	return x.decided(c, line)
}

// refusedEarly ends the session over a login that did not succeed: the server takes what was
// sent behind it for commands that it does not know, or believes that the login is over.
func (x *exchange) refusedEarly(c *Client, err error) error {
	c.fail(err)
	return err
}

// together sends the command again, now with the initial response: there are servers that
// refuse AUTH without one. They have not seen the response yet, so nothing is tried twice.
func (x *exchange) together(c *Client) {
	encoded := base64.StdEncoding.EncodeToString(x.pending)
	x.apart, x.pending = false, nil
	c.queue(x.command, x.command+" "+encoded, x.command+" ***")
}

// refusedAhead ends the session over the refusal of a token behind which commands were
// sent: the server takes the first of them for the answer to its challenge.
func (x *exchange) refusedAhead(c *Client, b *mechanism.Bearer, challenge []byte) error {
	if decoded, err := base64.StdEncoding.AppendDecode(nil, challenge); err == nil {
		b.Next(decoded)
	}
	err := &AuthError{Method: x.method, User: x.user, Err: c.tokenError(b, fmt.Errorf("%s: the server sent an error challenge", x.command))}
	c.fail(err)
	return err
}

// plainRefusal reports whether err is -ERR without a response code, or with AUTH.
func plainRefusal(err error) bool {
	var refused *ResponseError
	return errors.As(err, &refused) && (refused.Code == "" || refused.Code == AuthCode)
}

// done reports whether m knows that it has nothing left to send.
func (x *exchange) done() bool {
	proof, ok := x.m.(interface{ Done() bool })
	return ok && proof.Done()
}

// continuation returns the challenge in a line, still encoded; false if the line has
// none. RFC 5034 section 4
func continuation(line []byte) ([]byte, bool) {
	if len(line) == 0 || line[0] != '+' || len(line) > 1 && line[1] != ' ' {
		return nil, false
	}
	return bytes.Trim(line[1:], " \t"), true
}

// answer computes the response to a challenge.
func (x *exchange) answer(encoded []byte) ([]byte, error) {
	challenge, err := base64.StdEncoding.AppendDecode(nil, encoded)
	if err != nil {
		return nil, fmt.Errorf("the server's challenge is not base64: %w", err)
	}
	if x.pending != nil {
		// Some servers ask for the initial response with words ("Username:").
		ir := x.pending
		x.pending = nil
		return ir, nil
	}
	return x.m.Next(challenge)
}

// decided takes the server's decision.
func (x *exchange) decided(c *Client, line []byte) error {
	if _, err := c.verdict(x.command, line); err != nil {
		if b, ok := x.m.(*mechanism.Bearer); ok && x.pending == nil {
			err = c.tokenRefused(b, err)
		}
		return refusedLogin(x.method, x.user, err)
	}
	_, proves := x.m.(interface{ Done() bool })
	if x.pending != nil || proves && !x.done() {
		return c.protocol(x.command, line, "the login was accepted before the exchange was complete")
	}
	return nil
}

// cancel ends the exchange from the client's side; the server has to answer -ERR.
// RFC 5034 section 4
func (x *exchange) cancel(c *Client, cause error) error {
	c.queue(x.command, "*", "*")
	_, err := c.status()
	var refused *ResponseError
	switch {
	case err == nil:
		return c.protocol(x.command, []byte("+OK"), "a cancelled login was accepted")
	case errors.As(err, &refused):
		return &AuthError{Method: x.method, User: x.user, Err: cause}
	}
	return err
}
