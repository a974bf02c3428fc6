package certtest

import (
	"bytes"
	"crypto"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/asn1"
	"errors"
	"math/big"
)

// negate makes the serial number of a certificate negative and signs the certificate
// again: x509.CreateCertificate refuses to. RFC 5280 section 4.1.2.2 forbids such numbers.
func negate(der []byte, serial *big.Int, signer crypto.Signer) ([]byte, error) {
	var c struct {
		TBS       asn1.RawValue
		Algorithm pkix.AlgorithmIdentifier
		Signature asn1.BitString
	}
	if _, err := asn1.Unmarshal(der, &c); err != nil {
		return nil, err
	}
	parsed, err := x509.ParseCertificate(der)
	if err != nil {
		return nil, err
	}
	switch parsed.SignatureAlgorithm {
	case x509.ECDSAWithSHA256, x509.SHA256WithRSA:
	default:
		return nil, errors.New("unexpected signature algorithm " + parsed.SignatureAlgorithm.String())
	}
	signed := bytes.Clone(c.TBS.FullBytes)
	signed[bytes.Index(signed, serial.Bytes())] |= 0x80
	digest := sha256.Sum256(signed)
	signature, err := signer.Sign(rand.Reader, digest[:], crypto.SHA256)
	if err != nil {
		return nil, err
	}
	c.TBS = asn1.RawValue{FullBytes: signed}
	c.Signature = asn1.BitString{Bytes: signature, BitLength: 8 * len(signature)}
	return asn1.Marshal(c)
}
