package config

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"strings"
)

// Fingerprint says which certificate the server has to show.
type Fingerprint struct {
	Kind   FingerprintKind
	Digest [sha256.Size]byte // zero for FirstUse
}

// FingerprintKind says what the digest of a Fingerprint is of.
type FingerprintKind uint8

const (
	OfCertificate FingerprintKind = iota // the certificate in DER form
	OfKey                                // its public key: SubjectPublicKeyInfo in DER form, RFC 7469 section 2.4
	FirstUse                             // no digest: the key that the server shows first
)

// How the kinds are written. GnuTLS writes keyPrefix, curl curlKeyPrefix.
const (
	certificatePrefix = "sha256:"
	keyPrefix         = "pin-sha256:"
	curlKeyPrefix     = "sha256//"
	firstUse          = "first-use"
)

// String is 64 lower-case hex digits for a certificate, "pin-sha256:" and base64 for a
// public key, and "first-use".
func (f Fingerprint) String() string {
	switch f.Kind {
	case OfKey:
		return keyPrefix + base64.StdEncoding.EncodeToString(f.Digest[:])
	case FirstUse:
		return firstUse
	}
	return hex.EncodeToString(f.Digest[:])
}

// MarshalText returns String.
func (f Fingerprint) MarshalText() ([]byte, error) { return []byte(f.String()), nil }

// ParseFingerprint reads what String writes. Hex digits may be of either case, have colons
// between the octets and "sha256:" in front; "sha256//" stands for "pin-sha256:".
func ParseFingerprint(s string) (Fingerprint, error) {
	if strings.EqualFold(s, firstUse) {
		return Fingerprint{Kind: FirstUse}, nil
	}
	for _, prefix := range []string{keyPrefix, curlKeyPrefix} {
		if text, ok := cutPrefixFold(s, prefix); ok {
			return parseKeyFingerprint(s, text)
		}
	}
	digits, _ := cutPrefixFold(s, certificatePrefix)
	b, err := hex.DecodeString(strings.ReplaceAll(digits, ":", ""))
	switch {
	case err == nil && len(b) == 20:
		return Fingerprint{}, fmt.Errorf("%s is a SHA-1 fingerprint; take SHA-256: openssl x509 -noout -fingerprint -sha256", quote(s))
	case err == nil && len(b) == 16:
		return Fingerprint{}, fmt.Errorf("%s is an MD5 fingerprint; take SHA-256: openssl x509 -noout -fingerprint -sha256", quote(s))
	case err != nil || len(b) != sha256.Size:
		return Fingerprint{}, fmt.Errorf(`%s is not a SHA-256 fingerprint of 64 hex digits, nor "pin-sha256:" with the digest of a public key in base64, nor "first-use"`, quote(s))
	}
	return Fingerprint{OfCertificate, [sha256.Size]byte(b)}, nil
}

func parseKeyFingerprint(s, text string) (Fingerprint, error) {
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil || len(b) != sha256.Size {
		return Fingerprint{}, fmt.Errorf("%s has no SHA-256 digest in base64 behind its prefix: 43 characters and a =", quote(s))
	}
	return Fingerprint{OfKey, [sha256.Size]byte(b)}, nil
}

// cutPrefixFold is strings.CutPrefix without regard to upper and lower case.
func cutPrefixFold(s, prefix string) (after string, found bool) {
	if len(s) < len(prefix) || !strings.EqualFold(s[:len(prefix)], prefix) {
		return s, false
	}
	return s[len(prefix):], true
}

func parseFingerprints(v any) ([]Fingerprint, error) {
	list, err := oneOrMore(`"first-use", a fingerprint or a list of fingerprints`, v)
	if err != nil {
		return nil, err
	}
	fs := make([]Fingerprint, len(list))
	for i, s := range list {
		if fs[i], err = ParseFingerprint(s); err != nil {
			return nil, err
		}
		if fs[i].Kind == FirstUse && len(list) > 1 {
			return nil, fmt.Errorf(`"first-use" cannot be combined with fingerprints; write tls_fingerprint = "first-use" or the fingerprints alone`)
		}
	}
	return fs, nil
}

// TrustsFirstUse reports whether the key that the server shows first is the right one.
func (g *Login) TrustsFirstUse() bool {
	return len(g.TLSFingerprints) == 1 && g.TLSFingerprints[0].Kind == FirstUse
}
