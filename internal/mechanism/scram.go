package mechanism

import (
	"crypto/tls"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/emersion/go-sasl"
	"github.com/xdg-go/scram"
)

// maxIterations bounds the work that a server can demand for a login: some tenths of a
// second. Servers demand 4,096 to some 100,000. RFC 5802 section 5.1
const maxIterations = 1_000_000

// Scrams are the methods of RFC 5802 and 7677, the strongest first. Those that end in
// "-plus" bind the login to the TLS connection: nobody who sits between the client and the
// server can pass it on.
func Scrams() []string {
	return []string{"scram-sha-256-plus", "scram-sha-1-plus", "scram-sha-256", "scram-sha-1"}
}

// UnboundScrams are those of them that bind to nothing. Client and server cannot agree on a
// kind of binding: Cyrus SASL 2.1 knows tls-unique alone, which TLS 1.3 does not have, and
// refuses the login. So only a user who names a bound method gets it.
func UnboundScrams() []string { return []string{"scram-sha-256", "scram-sha-1"} }

// Bound returns the method that binds what another one does to the TLS connection, which may
// be that one.
func Bound(method string) string { return strings.TrimSuffix(method, "-plus") + "-plus" }

// Scram is one exchange by a SCRAM mechanism, over the conversation of a library.
type Scram struct {
	mechanism string // upper case
	talk      *scram.ClientConversation
	turns     int
}

// NewScram returns the mechanism of one of Scrams. state is that of TLS, nil in clear text.
// unbound says that the server is known not to offer Bound. If the client could have used it,
// the server is told (flag "y"), so that it notices when somebody has taken the offer away.
// RFC 5802 section 6
func NewScram(method, user, password string, state *tls.ConnectionState, unbound bool) *Scram {
	hash := scram.SHA256
	if strings.HasPrefix(method, "scram-sha-1") {
		hash = scram.SHA1
	}
	// RFC 5802 section 2.2 has SASLprep. A password that it does not allow was set on a
	// server without it.
	client, err := hash.NewClient(user, password, "")
	if err != nil {
		client, _ = hash.NewClientUnprepped(user, password, "") // returns no error
	}
	s := &Scram{mechanism: strings.ToUpper(method)}
	b, ok := binding(state)
	switch {
	case method == Bound(method):
		s.talk = client.NewConversationWithChannelBinding(b)
	case ok && unbound:
		s.talk = client.NewConversationAdvertisingChannelBinding()
	default:
		s.talk = client.NewConversation()
	}
	return s
}

// CanBind reports whether a login can be bound to a TLS connection; nil is clear text.
func CanBind(state *tls.ConnectionState) bool {
	_, ok := binding(state)
	return ok
}

// binding returns what binds a login to the TLS connection: tls-exporter for TLS 1.3
// (RFC 9266), and tls-server-end-point before that (RFC 5929 section 4), which there is
// not for every certificate.
func binding(state *tls.ConnectionState) (scram.ChannelBinding, bool) {
	if state == nil {
		return scram.ChannelBinding{}, false
	}
	make := scram.NewTLSServerEndpointBinding
	if state.Version >= tls.VersionTLS13 {
		make = scram.NewTLSExporterBinding
	}
	b, err := make(state)
	return b, err == nil
}

// Start implements sasl.Client.
func (s *Scram) Start() (string, []byte, error) {
	first, err := s.talk.Step("")
	return s.mechanism, []byte(first), err
}

// Next implements sasl.Client.
func (s *Scram) Next(challenge []byte) ([]byte, error) {
	text := string(challenge)
	switch s.turns++; s.turns {
	case 1:
		if err := checkIterations(text); err != nil {
			return nil, err
		}
	case 2:
		if reason, refused := strings.CutPrefix(text, "e="); refused {
			return nil, fmt.Errorf("the server refused the proof: %s", serverError(reason))
		}
	default:
		return nil, sasl.ErrUnexpectedServerChallenge
	}
	answer, err := s.talk.Step(text)
	if err != nil && s.turns == 2 {
		return nil, errors.New("the server cannot prove that it knows the password")
	}
	if err != nil {
		return nil, errors.New("the server's challenge is not one of SCRAM") // its text may repeat a secret
	}
	return []byte(answer), nil
}

// AwaitsProof reports whether the client has proved that it knows the password and the
// server has not yet.
func (s *Scram) AwaitsProof() bool { return s.turns == 1 && !s.talk.Done() }

// Done reports whether the server has proved that it knows the password.
func (s *Scram) Done() bool { return s.talk.Valid() }

// checkIterations refuses a server-first-message that demands too much work.
// RFC 5802 section 5.1
func checkIterations(first string) error {
	for field := range strings.SplitSeq(first, ",") {
		count, ok := strings.CutPrefix(field, "i=")
		if !ok {
			continue
		}
		if n, err := strconv.Atoi(count); err != nil || n < 1 || n > maxIterations {
			return fmt.Errorf("the server demands more than %d iterations, or none", maxIterations)
		}
		return nil
	}
	return errors.New("the server's challenge is not one of SCRAM")
}

// serverError returns one of the error values of RFC 5802 section 7, and nothing else that
// a server may write there.
func serverError(value string) string {
	known := []string{
		"invalid-encoding", "extensions-not-supported", "invalid-proof", "channel-bindings-dont-match",
		"server-does-support-channel-binding", "channel-binding-not-supported", "unsupported-channel-binding-type",
		"unknown-user", "invalid-username-encoding", "no-resources",
	}
	if value, _, _ = strings.Cut(value, ","); slices.Contains(known, value) {
		return value
	}
	return "other-error"
}
