package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/discovery"
)

// trustFlags reads the flags that say how the certificate of the server is verified.
func (s *setup) trustFlags() error {
	f := s.flags
	if f.tls == string(config.TLSNone) && f.tlsCAFile+f.tlsFingerprint != "" {
		return &usage{"init: with --tls none there is no certificate for --tls-ca-file and --tls-fingerprint"}
	}
	if f.tlsFingerprint != "" {
		pin, err := config.ParseFingerprint(f.tlsFingerprint)
		if err != nil {
			return &usage{"init: --tls-fingerprint: " + err.Error()}
		}
		s.pins = []config.Fingerprint{pin}
	}
	if f.tlsCAFile != "" {
		var err error
		if s.authorities, err = absolute(f.tlsCAFile); err != nil {
			return &fetch.ConfigError{Err: err}
		}
	}
	return nil
}

// newAccount returns an account at a server, whose certificate is verified as the flags say.
func (s *setup) newAccount(name string, at discovery.Server) (*config.Account, error) {
	c, err := config.New()
	if err != nil {
		return nil, &fetch.ConfigError{Err: err}
	}
	a := c.NewAccount(name)
	a.Host, a.Port, a.TLS = at.Host, at.Port, tlsMode(at, s.flags.tls)
	if a.TLS != config.TLSNone {
		a.TLSCAFile, a.TLSFingerprints = s.authorities, s.pins
	}
	return a, nil
}

// probe connects to a server, with TLS unless --tls none says otherwise, and says goodbye.
// Nothing of what the server says is shown or logged: the password, which would be masked in
// it, is not known yet.
func (s *setup) probe(ctx context.Context, server discovery.Server) error {
	a, err := s.newAccount("init", server)
	if err != nil {
		return err
	}
	a.Timeout = config.Duration(probeWait)
	client, err := (&connector{account: a, log: slog.New(slog.DiscardHandler)}).dial(ctx, "", fetch.Opening{})
	switch {
	case errors.As(err, new(*fetch.ConfigError)):
		return err
	case err != nil:
		return &connectError{tls: a.TLS, port: a.Port, err: err}
	}
	defer client.Close()
	client.Quit()
	return nil
}

// untrustedError is a certificate that nobody vouches for, and the flag that trusts its key.
type untrustedError struct {
	pin config.Fingerprint
	err error
}

func (e *untrustedError) Error() string { return e.err.Error() }

// Unwrap returns the cause.
func (e *untrustedError) Unwrap() error { return e.err }

// untrustedHint says with which flags init takes the certificate.
func untrustedHint(err error) string {
	var e *untrustedError
	if !errors.As(err, &e) {
		return ""
	}
	return fmt.Sprintf("if this is the right server: --tls-fingerprint %s trusts its key alone, --tls-ca-file FILE the authority that has signed its certificate", e.pin)
}

// trust shows a certificate that was refused and asks whether to trust its key. It returns nil
// if the user does, and the server answers then.
func (s *setup) trust(ctx context.Context, server discovery.Server, refusal error) error {
	var refused *tls.CertificateVerificationError
	if !errors.As(refusal, &refused) || len(refused.UnverifiedCertificates) == 0 || len(s.pins) > 0 {
		return refusal
	}
	key := keyFingerprint(refused.UnverifiedCertificates[0])
	refusal = &untrustedError{key, refusal}
	if !s.ask.attended() {
		return refusal
	}
	s.con.say("%s: %s", server, printable(refused.Error()))
	var shown shownCertificate
	shown.show(refused.UnverifiedCertificates, time.Now())
	shown.pinned = true // no line to write into a configuration: init does
	lines := &sheet{w: s.con.err, width: s.con.width}
	shown.write(lines)
	lines.line("key", shown.Pin)
	yes, err := s.ask.agrees(ctx, "Trust this key, and no other? Your password goes to whoever holds it", "no")
	switch {
	case err != nil:
		return err
	case !yes:
		return refusal
	}
	s.pins = []config.Fingerprint{key}
	return s.probe(ctx, server)
}
