package config

import (
	"encoding/base64"
	"strings"
	"testing"
)

func TestFingerprintsInEveryForm(t *testing.T) {
	digest := [32]byte{0x9f, 0xfb, 0xff, 31: 0x08} // its base64 has a + and a /
	certificate, key := Fingerprint{OfCertificate, digest}, Fingerprint{OfKey, digest}
	digits := "9ffbff" + strings.Repeat("00", 28) + "08"
	encoded := base64.StdEncoding.EncodeToString(digest[:])
	colons := strings.TrimSuffix(strings.Join(strings.SplitAfter(strings.ToUpper(digits), ""), ""), ":")
	for i := len(colons) - 2; i > 0; i -= 2 {
		colons = colons[:i] + ":" + colons[i:]
	}
	for s, want := range map[string]Fingerprint{
		digits: certificate, strings.ToUpper(digits): certificate, colons: certificate,
		"sha256:" + digits: certificate, "SHA256:" + colons: certificate,
		"pin-sha256:" + encoded: key, "PIN-SHA256:" + encoded: key, "sha256//" + encoded: key,
		"first-use": {Kind: FirstUse}, "First-Use": {Kind: FirstUse},
	} {
		got, err := ParseFingerprint(s)
		if err != nil || got != want {
			t.Errorf("%s: %v, %v", s, got, err)
		}
		if again, err := ParseFingerprint(got.String()); err != nil || again != got {
			t.Errorf("%s is read as %v, %v", got, again, err)
		}
	}
	for s, want := range map[string]string{
		"":                                    "not a SHA-256 fingerprint",
		"first use":                           "not a SHA-256 fingerprint",
		"sha256:" + encoded:                   "not a SHA-256 fingerprint",
		digits[2:]:                            "not a SHA-256 fingerprint",
		strings.Repeat("ab", 20):              "a SHA-1 fingerprint",
		strings.Repeat("ab", 16):              "an MD5 fingerprint",
		"pin-sha256:" + digits:                "no SHA-256 digest in base64",
		"pin-sha256:" + encoded[:43]:          "no SHA-256 digest in base64",
		"sha256//" + encoded + encoded:        "no SHA-256 digest in base64",
		"pin-sha256:":                         "no SHA-256 digest in base64",
		"pin-sha256:" + encoded[:40] + "AA==": "no SHA-256 digest in base64",
	} {
		if f, err := ParseFingerprint(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", s, f, err)
		}
	}
}

func TestFirstUseStandsAlone(t *testing.T) {
	digits := strings.Repeat("ab", 32)
	for _, list := range [][]any{{"first-use", digits}, {digits, "first-use"}, {"first-use", "first-use"}} {
		if fs, err := parseFingerprints(list); err == nil || !strings.Contains(err.Error(), "cannot be combined") {
			t.Errorf("%v: %v, %v", list, fs, err)
		}
	}
	fs, err := parseFingerprints([]any{"first-use"})
	a := Login{TLSFingerprints: fs}
	if err != nil || !a.TrustsFirstUse() {
		t.Errorf("%v, %v", fs, err)
	}
	if a.TLSFingerprints, err = parseFingerprints(digits); err != nil || a.TrustsFirstUse() || (&Login{}).TrustsFirstUse() {
		t.Errorf("%v, %v", a.TLSFingerprints, err)
	}
}
