package pop3

import (
	"bytes"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
)

// tracer is a log and what was written to it.
func tracer() (*slog.Logger, *bytes.Buffer) {
	var trace bytes.Buffer
	return slog.New(slog.NewTextHandler(&trace, &slog.HandlerOptions{Level: LevelTrace})), &trace
}

// echoes are the ways in which a server may repeat what it was sent to log in.
func echoes(password string) map[string]string {
	whole := "PASS " + password
	plain := "\x00bob@example.org\x00" + password
	return map[string]string{
		"as it is":                  whole,
		"truncated":                 whole[:min(len(whole), len("PASS ")+6)],
		"its end":                   password[max(0, len(password)-6):],
		"upper case":                strings.ToUpper(whole),
		"lower case":                strings.ToLower(whole),
		"base64":                    b64(password),
		"base64 of the line":        b64(whole),
		"base64 of AUTH PLAIN":      b64(plain),
		"base64, behind one octet":  b64("x" + password),
		"base64, behind two octets": b64("xy" + password),
		"base64 without its end":    strings.TrimRight(b64(plain), "=")[:len(b64(plain))-4],
		"base64 in upper case":      strings.ToUpper(b64(whole)),
		"base64url":                 base64.URLEncoding.EncodeToString([]byte(plain)),
		"hex":                       hex.EncodeToString([]byte(whole)),
		"hex in upper case":         strings.ToUpper(hex.EncodeToString([]byte(whole))),
		"hex of the upper case":     hex.EncodeToString([]byte(strings.ToUpper(whole))),
		"in a word":                 "<<" + password + ">>",
	}
}

// No text that gives the password away is shown, whether in an error, in the trace or in
// the greeting, before, during or after the login.
func TestServerThatRepeatsThePassword(t *testing.T) {
	for _, password := range []string{"Correct-Horse", "päss>?wörd", "s3cret"} {
		for form, echo := range echoes(password) {
			if len(password) < 12 && (form == "truncated" || form == "base64 without its end") {
				continue // see TestShortSecrets
			}
			for name, script := range map[string]string{
				"greeting": "S: +OK hi " + echo + "\nC: CAPA\nCLOSE",
				"refused":  "S: -ERR [SYS/TEMP] sorry " + echo + "\n",
				"CAPA":     "S: +OK\nC: CAPA\nS: -ERR what is " + echo + "\nC: USER bob@example.org\nS: -ERR\n",
				"USER":     "S: +OK\nC: CAPA\nS: -ERR\nC: USER bob@example.org\nS: -ERR [AUTH] no " + echo + "\n",
				"PASS":     "S: +OK\nC: CAPA\nS: -ERR\nC: USER bob@example.org\nS: +OK\nC: PASS " + password + "\nS: -ERR [AUTH] no " + echo + "\n",
				"garbled":  "S: +OK\nC: CAPA\nS: -ERR\nC: USER bob@example.org\nS: +OK\nC: PASS " + password + "\nS: what " + echo + "\n",
				"SASL":     "S: +OK\nC: CAPA\nS: +OK\nS: SASL X-" + echo + "\nS: .\n",
				"NOOP": "S: +OK\nC: CAPA\nS: -ERR\nC: USER bob@example.org\nS: +OK\nC: PASS " + password +
					"\nS: +OK\nC: NOOP\nS: -ERR " + echo + "\n",
			} {
				log, trace := tracer()
				c, err := peer{script: script}.dial(t, &Options{Security: ClearText, Log: log, Secrets: []string{password}})
				shown := ""
				if err == nil {
					if _, err = c.Login(Credentials{User: "bob@example.org", Password: password, Methods: []string{"user"}}); err == nil {
						err = c.Noop()
					}
					shown = c.Greeting()
				}
				shown += fmt.Sprint(err) + trace.String()
				if strings.Contains(shown, echo) || !strings.Contains(shown, "***") {
					t.Errorf("%s, %s: %q is shown in %s", form, name, echo, shown)
				}
				var refused *ResponseError
				if (name == "refused" || name == "PASS") && (!errors.As(err, &refused) || refused.Code == "") {
					t.Errorf("%s, %s: the response code is lost: %v", form, name, err)
				}
			}
		}
	}
}

// Only the status and a registered response code are left: another code could be the
// password.
func TestConcealKeepsTheCode(t *testing.T) {
	var s secrets
	s.Add("Correct-Horse")
	for text, want := range map[string]string{
		"-ERR [in-use] for correct-horse": "-ERR [IN-USE] ***",
		"-err correct-horse":              "-ERR ***",
		"+OK correct-horse":               "+OK ***",
		"[AUTH] correct-horse":            "[AUTH] ***",
		"-ERR [correct-horse] no":         "-ERR ***",
		"correct-horse":                   "***",
		"-ERR no horses":                  "-ERR no horses",
	} {
		if got := s.conceal(text); got != want {
			t.Errorf("%q becomes %q, want %q", text, got, want)
		}
	}
}

// The trace of the client's own lines holds no secret, even if nobody knows that
// it is one: the place that sends it masks it.
func TestOwnLinesAreMaskedWhereTheyAreSent(t *testing.T) {
	for _, method := range scripted() {
		log, trace := tracer()
		c, err := peer{script: loginScript(method, "+OK")}.dial(t, &Options{Security: ClearText, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := c.Capa(); err != nil {
			t.Fatal(err)
		}
		cred := loginAs(method)
		if err := c.converse(c.dialogOf(method, cred, c.caps), false, nil, nil); err != nil { // Login would have made it known
			t.Fatal(err)
		}
		shown := trace.String()
		for form, echo := range echoes(loginSecret) {
			if strings.Contains(shown, echo) {
				t.Errorf("%s: the trace has it, %s: %s", method, form, shown)
			}
		}
		if strings.Contains(shown, cramDigest(loginSecret, "<1.2@x>")) || !strings.Contains(shown, "***") {
			t.Errorf("%s: %s", method, shown)
		}
	}
}

// The trace also masks a known secret in places where none is expected.
func TestTraceMasksKnownSecrets(t *testing.T) {
	log, trace := tracer()
	w := lineIO{log: log}
	w.secrets.Add(loginSecret)
	w.trace("C", "PASS "+loginSecret)
	if shown := trace.String(); strings.Contains(shown, loginSecret) || !strings.Contains(shown, "C: ***") {
		t.Error(shown)
	}
}

// What is sent in place of the password counts as a secret too.
func TestServerThatRepeatsTheDigest(t *testing.T) {
	digest := cramDigest(loginSecret, "<1.2@x>")
	for method, echo := range map[string]string{"cram-md5": digest[4:20], "apop": strings.ToUpper(apopDigest(loginSecret, "<1.2@x>"))} {
		log, trace := tracer()
		c, err := peer{script: loginScript(method, "-ERR you said "+echo)}.dial(t, &Options{Security: ClearText, Log: log})
		if err != nil {
			t.Fatal(err)
		}
		_, err = c.Login(Credentials{User: "bob", Password: loginSecret, Methods: []string{method}})
		if shown := fmt.Sprint(err, trace); strings.Contains(shown, echo) {
			t.Errorf("%s: %s", method, shown)
		}
	}
}
