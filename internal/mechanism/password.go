package mechanism

import (
	"crypto/hmac"
	"crypto/md5"
	"encoding/hex"

	"github.com/emersion/go-sasl"
)

// Login is the mechanism LOGIN (draft-murchison-sasl-login): the name, then the
// password, whatever the prompts say, because servers word them differently. The name does
// not come with the command: a server that overlooks it there asks for it, and would take
// the password for the name.
type Login struct {
	user, password string
	answers        int
}

// NewLogin returns the mechanism for one login.
func NewLogin(user, password string) *Login { return &Login{user: user, password: password} }

// Start implements sasl.Client.
func (m *Login) Start() (string, []byte, error) { return "LOGIN", nil, nil }

// Next implements sasl.Client.
func (m *Login) Next([]byte) ([]byte, error) {
	m.answers++
	switch m.answers {
	case 1:
		return []byte(m.user), nil
	case 2:
		return []byte(m.password), nil
	}
	return nil, sasl.ErrUnexpectedServerChallenge
}

// Done reports whether the password was sent.
func (m *Login) Done() bool { return m.answers == 2 }

// CramMD5 is the mechanism CRAM-MD5. RFC 2195 section 2
type CramMD5 struct {
	user, secret string
	sent         string // the digest, "" = not yet
}

// NewCramMD5 returns the mechanism for one login.
func NewCramMD5(user, secret string) *CramMD5 { return &CramMD5{user: user, secret: secret} }

// Start implements sasl.Client.
func (a *CramMD5) Start() (string, []byte, error) { return "CRAM-MD5", nil, nil }

// Next implements sasl.Client.
func (a *CramMD5) Next(challenge []byte) ([]byte, error) {
	if a.sent != "" {
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	mac := hmac.New(md5.New, []byte(a.secret))
	mac.Write(challenge)
	a.sent = hex.EncodeToString(mac.Sum(nil))
	return []byte(a.user + " " + a.sent), nil
}

// Done reports whether the challenge was answered.
func (a *CramMD5) Done() bool { return a.sent != "" }

// Response returns the digest that was sent, "" before that. Nobody should see it: the
// password can be guessed from it.
func (a *CramMD5) Response() string { return a.sent }
