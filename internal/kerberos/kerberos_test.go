package kerberos

import (
	"bytes"
	"context"
	"encoding/hex"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/jcmturner/gofork/encoding/asn1"
	"github.com/jcmturner/gokrb5/v8/asn1tools"
	"github.com/jcmturner/gokrb5/v8/crypto"
	"github.com/jcmturner/gokrb5/v8/gssapi"
	"github.com/jcmturner/gokrb5/v8/iana/asnAppTag"
	"github.com/jcmturner/gokrb5/v8/iana/etypeID"
	"github.com/jcmturner/gokrb5/v8/iana/keyusage"
	"github.com/jcmturner/gokrb5/v8/iana/msgtype"
	"github.com/jcmturner/gokrb5/v8/messages"
	"github.com/jcmturner/gokrb5/v8/spnego"
	"github.com/jcmturner/gokrb5/v8/types"

	"popfetch/internal/secret"
)

func key(fill byte) types.EncryptionKey {
	return types.EncryptionKey{KeyType: etypeID.AES256_CTS_HMAC_SHA1_96, KeyValue: bytes.Repeat([]byte{fill}, 32)}
}

func mechanism(t testing.TB) *Mechanism {
	t.Helper()
	proof, err := types.NewAuthenticator("EXAMPLE.ORG", types.NewPrincipalName(1, "alice"))
	if err != nil {
		t.Fatal(err)
	}
	return &Mechanism{user: "alice", key: key(1), proof: proof}
}

// proofOf is the token with which a server proves that it could read the request of m.
func proofOf(t *testing.T, m *Mechanism, k types.EncryptionKey, cusec int) []byte {
	t.Helper()
	must := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	part := asn1tools.AddASNAppTag(must(asn1.Marshal(messages.EncAPRepPart{CTime: m.proof.CTime, Cusec: cusec, SequenceNumber: 7, Subkey: key(9)})), asnAppTag.EncAPRepPart)
	sealed, err := crypto.GetEncryptedData(part, k, keyusage.AP_REP_ENCPART, 0)
	if err != nil {
		t.Fatal(err)
	}
	reply := asn1tools.AddASNAppTag(must(asn1.Marshal(messages.APRep{PVNO: 5, MsgType: msgtype.KRB_AP_REP, EncPart: sealed})), asnAppTag.APREP)
	kind := must(hex.DecodeString(spnego.TOK_ID_KRB_AP_REP))
	return asn1tools.AddASNAppTag(append(append(must(asn1.Marshal(gssapi.OIDKRB5.OID())), kind...), reply...), 0)
}

// offerOf is a server's offer of protection.
func offerOf(t *testing.T, k types.EncryptionKey, payload ...byte) []byte {
	t.Helper()
	w := gssapi.WrapToken{Flags: 0x01 | acceptorSubkey, EC: 12, Payload: payload}
	if err := w.SetCheckSum(k, keyusage.GSSAPI_ACCEPTOR_SEAL); err != nil {
		t.Fatal(err)
	}
	b, err := w.Marshal()
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func TestServerHasToProveThatItHasTheKey(t *testing.T) {
	m := mechanism(t)
	for name, x := range map[string]struct {
		proof, offer []byte
		want         string // "" = believed
	}{
		"right":               {proofOf(t, m, key(1), m.proof.Cusec), offerOf(t, key(9), 1, 0, 0, 0), ""},
		"wrong key":           {proofOf(t, m, key(2), m.proof.Cusec), nil, "cannot prove that it is the one that the ticket is for"},
		"of another login":    {proofOf(t, m, key(1), m.proof.Cusec+1), nil, "for another login"},
		"nothing":             {nil, nil, "not one of Kerberos"},
		"offer changed":       {proofOf(t, m, key(1), m.proof.Cusec), offerOf(t, key(8), 1, 0, 0, 0), "changed on the way"},
		"demands protection":  {proofOf(t, m, key(1), m.proof.Cusec), offerOf(t, key(9), 6, 0, 16, 0), "demands that GSSAPI protects the session"},
		"offer of one octet":  {proofOf(t, m, key(1), m.proof.Cusec), offerOf(t, key(9), 1), "demands that GSSAPI protects the session"},
		"offer that is empty": {proofOf(t, m, key(1), m.proof.Cusec), nil, "not one of GSSAPI"},
	} {
		t.Run(name, func(t *testing.T) {
			c := *m
			answer, err := c.Next(x.proof)
			if err == nil {
				if len(answer) != 0 || c.Done() {
					t.Errorf("answer %q, done %v", answer, c.Done())
				}
				answer, err = c.Next(x.offer)
			}
			switch {
			case x.want == "" && (err != nil || !c.Done() || !bytes.Contains(answer, append([]byte{1, 0, 0, 0}, "alice"...))):
				t.Errorf("answer %q, %v", answer, err)
			case x.want != "" && (err == nil || !strings.Contains(err.Error(), x.want) || c.Done()):
				t.Errorf("got %v, want %q", err, x.want)
			}
		})
	}
}

// Whatever a server sends, the mechanism does not panic and does not believe it.
func FuzzServer(f *testing.F) {
	f.Add([]byte("\x60\x0b\x06\x09\x2a\x86\x48\x86\xf7\x12\x01\x02\x02"), []byte("\x05\x04\x01\xff\xff\xff\x00\x00"))
	f.Fuzz(func(t *testing.T, first, then []byte) {
		m := mechanism(t)
		m.Next(first)
		m.Next(then)
		if m.Done() {
			t.Error("believed")
		}
	})
}

func TestNoTicket(t *testing.T) {
	dir := t.TempDir()
	t.Setenv("KRB5_CONFIG", filepath.Join(dir, "krb5.conf"))
	if err := os.WriteFile(filepath.Join(dir, "krb5.conf"), []byte("[libdefaults]\n default_realm = EXAMPLE.ORG\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for content, want := range map[string]string{"": "run kinit", "\x05\x04\x00\x0c": "run kinit", "\x05\x04\x00\x00\x7f\xff\xff\xff\x7f\xff\xff\xff": "run kinit"} {
		t.Setenv("KRB5CCNAME", "FILE:"+filepath.Join(dir, "cache"))
		if err := os.WriteFile(filepath.Join(dir, "cache"), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(t.Context(), "pop", "pop.example.org", "alice")
		var e *secret.Error
		if !errors.As(err, &e) || e.Temporary() || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", content, err)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := Open(ctx, "pop", "pop.example.org", "alice"); err == nil {
		t.Error("a ticket after the end")
	}
}
