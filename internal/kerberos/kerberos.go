// Package kerberos logs in with a Kerberos V5 ticket: the SASL mechanism GSSAPI of RFC
// 4752, with the ticket that kinit has got.
package kerberos

import (
	"context"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/client"
	"github.com/jcmturner/gokrb5/v8/config"
	"github.com/jcmturner/gokrb5/v8/credentials"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/chksumtype"
	"github.com/jcmturner/gokrb5/v8/iana/flags"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"popfetch/internal/secret"
)

// Source names where the ticket comes from, in messages.
func Source() string { return "ticket cache " + cachePath() }

// cachePath returns the name of the ticket cache, as kinit(1) finds it.
func cachePath() string {
	if name := os.Getenv("KRB5CCNAME"); name != "" {
		return strings.TrimPrefix(name, "FILE:")
	}
	return fmt.Sprintf("/tmp/krb5cc_%d", os.Getuid())
}

// configPath returns the path of krb5.conf(5).
func configPath() string {
	if path, _, _ := strings.Cut(os.Getenv("KRB5_CONFIG"), ":"); path != "" {
		return path
	}
	return "/etc/krb5.conf"
}

// Mechanism is one exchange of GSSAPI. It is a client of go-sasl.
type Mechanism struct {
	user   string // whose maildrop is wanted
	ticket messages.Ticket
	key    types.EncryptionKey // of the session, then of the context
	proof  types.Authenticator
	subkey bool // key is the server's
	turns  int
	done   bool
}

// Open gets a ticket for a service of a host, such as "pop", "imap" or "smtp", from the cache or with its
// ticket-granting ticket from the KDC. An error is a *secret.Error or that of ctx. A
// request to the KDC that is under way when ctx ends goes on for some seconds.
func Open(ctx context.Context, service, host, user string) (*Mechanism, error) {
	type result struct {
		m   *Mechanism
		err error
	}
	done := make(chan result, 1)
	go func() {
		m, err := open(service+"/"+host, user)
		done <- result{m, err}
	}()
	select {
	case r := <-done:
		return r.m, r.err
	case <-ctx.Done():
		return nil, fmt.Errorf("%s: %w", Source(), context.Cause(ctx))
	}
}

func open(service, user string) (m *Mechanism, err error) {
	fail := func(msg, hint string, retry bool, err error) error {
		return &secret.Error{Kind: secret.Ticket, Source: Source(), Msg: msg, Hint: hint, Retry: retry, Err: err}
	}
	defer func() {
		if recover() != nil { // the library trusts the lengths in the file
			m, err = nil, fail("the cache is damaged", "run kinit", false, nil)
		}
	}()
	path := cachePath()
	if kind, _, found := strings.Cut(path, ":"); found && !strings.Contains(kind, "/") {
		return nil, fail("a cache of the kind "+kind+" cannot be read", "set KRB5CCNAME to a file, and run kinit", false, nil)
	}
	settings, err := config.Load(configPath())
	if err != nil {
		return nil, fail(configPath()+": "+err.Error(), "", false, err)
	}
	cache, err := credentials.LoadCCache(path)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return nil, fail("there is no ticket", "run kinit", false, err)
	case err != nil:
		return nil, fail(err.Error(), "run kinit", false, err)
	}
	c, err := client.NewFromCCache(cache, settings, client.DisablePAFXFAST(true))
	if err != nil {
		return nil, fail(err.Error(), "run kinit", false, err)
	}
	defer c.Destroy()
	m = &Mechanism{user: user}
	if m.ticket, m.key, err = c.GetServiceTicket(service); err != nil {
		var refused messages.KRBError
		if errors.As(err, &refused) {
			return nil, fail(fmt.Sprintf("no ticket for %s: %v", service, err), "run kinit; the server's name has to be the one that its realm knows", false, err)
		}
		return nil, fail(fmt.Sprintf("no ticket for %s: %v", service, err), "the ticket may have expired: run kinit; or the KDC does not answer", true, err)
	}
	m.proof, err = types.NewAuthenticator(c.Credentials.Domain(), c.Credentials.CName())
	return m, err
}

// The flags of a security context: the server proves itself, and messages are protected
// against changes. RFC 2744, RFC 4121 section 4.1.1.1
const contextFlags = gssapi.ContextFlagMutual | gssapi.ContextFlagInteg

// Start returns the request for a context. RFC 4752 section 3.1, RFC 4121 section 4.1
func (m *Mechanism) Start() (string, []byte, error) {
	const name = "GSSAPI"
	sum := make([]byte, 24) // no channel binding: 16 zeros
	binary.LittleEndian.PutUint32(sum, 16)
	binary.LittleEndian.PutUint32(sum[20:], uint32(contextFlags))
	m.proof.Cksum = types.Checksum{CksumType: chksumtype.GSSAPI, Checksum: sum}
	request, err := messages.NewAPReq(m.ticket, m.key, m.proof)
	if err != nil {
		return name, nil, err
	}
	types.SetFlag(&request.APOptions, flags.APOptionMutualRequired)
	encoded, err := request.Marshal()
	if err != nil {
		return name, nil, err
	}
	token, err := asn1.Marshal(gssapi.OIDKRB5.OID())
	if err != nil {
		return name, nil, err
	}
	kind, err := hex.DecodeString(spnego.TOK_ID_KRB_AP_REQ)
	if err != nil {
		return name, nil, err
	}
	return name, asn1tools.AddASNAppTag(append(append(token, kind...), encoded...), 0), nil
}

// Next answers the server's proof, and then its offer of protection.
func (m *Mechanism) Next(challenge []byte) (answer []byte, err error) {
	defer func() {
		if recover() != nil { // the library trusts the lengths in a token
			answer, err = nil, errors.New("the server's token is not one of Kerberos")
		}
	}()
	m.turns++
	switch m.turns {
	case 1:
		return []byte{}, m.verify(challenge)
	case 2:
		return m.negotiate(challenge)
	}
	return nil, errors.New("the server goes on asking")
}

// verify checks the server's proof: only who has the key of the service can read the time
// in the request. RFC 4120 section 3.2.5
func (m *Mechanism) verify(token []byte) error {
	var t spnego.KRB5Token
	if err := t.Unmarshal(token); err != nil {
		return errors.New("the server's token is not one of Kerberos")
	}
	if t.IsKRBError() {
		return fmt.Errorf("the server refused the ticket: Kerberos error %d", t.KRBError.ErrorCode)
	}
	if !t.IsAPRep() {
		return errors.New("the server has sent no proof")
	}
	plain, err := crypto.DecryptEncPart(t.APRep.EncPart, m.key, keyusage.AP_REP_ENCPART)
	if err != nil {
		return errors.New("the server cannot prove that it is the one that the ticket is for")
	}
	var part messages.EncAPRepPart
	if err := part.Unmarshal(plain); err != nil {
		return errors.New("the server's proof is not one of Kerberos")
	}
	if part.CTime.Unix() != m.proof.CTime.Unix() || part.Cusec != m.proof.Cusec {
		return errors.New("the server's proof is for another login")
	}
	if part.Subkey.KeyType != 0 {
		m.key, m.subkey = part.Subkey, true
	}
	return nil
}

// The protection of what comes after the login. RFC 4752 section 3.1
const noProtection = 1

// The flag of a token that is protected with the server's subkey. RFC 4121 section 4.2.2
const acceptorSubkey = 0x04

// negotiate answers the server's offer: no protection, TLS does that.
func (m *Mechanism) negotiate(token []byte) ([]byte, error) {
	var offer gssapi.WrapToken
	if err := offer.Unmarshal(token, true); err != nil {
		return nil, errors.New("the server's offer of protection is not one of GSSAPI")
	}
	if ok, err := offer.Verify(m.key, keyusage.GSSAPI_ACCEPTOR_SEAL); !ok || err != nil {
		return nil, errors.New("the server's offer of protection was changed on the way")
	}
	if len(offer.Payload) != 4 || offer.Payload[0]&noProtection == 0 {
		return nil, errors.New("the server demands that GSSAPI protects the session, which popfetch leaves to TLS")
	}
	kind, err := crypto.GetEtype(m.key.KeyType)
	if err != nil {
		return nil, err
	}
	choice := gssapi.WrapToken{
		EC: uint16(kind.GetHMACBitLength() / 8), SndSeqNum: uint64(m.proof.SeqNumber),
		Payload: append([]byte{noProtection, 0, 0, 0}, m.user...),
	}
	if m.subkey {
		choice.Flags = acceptorSubkey
	}
	if err := choice.SetCheckSum(m.key, keyusage.GSSAPI_INITIATOR_SEAL); err != nil {
		return nil, err
	}
	m.done = true
	return choice.Marshal()
}

// Done reports whether the server has proved itself and all is said.
func (m *Mechanism) Done() bool { return m.done }
