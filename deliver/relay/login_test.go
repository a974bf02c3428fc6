package relay

import (
	"errors"
	"strings"
	"testing"

	"popfetch/internal/login"
)

func TestLoginDialogs(t *testing.T) {
	const challenge, digest = "PDE4OTYuNjk3MTcwOTUyQHBvc3RvZmZpY2UucmVzdG9uLm1jaS5uZXQ+", "dGltIGI5MTNhNjAyYzdlZGE3YTQ5NWI0ZTZlNzMzNGQzODkw" // RFC 2195 section 2
	tim := Credentials{User: "tim", Password: "tanstaaftanstaaf"}
	named := func(methods ...string) Credentials {
		cred := tim
		cred.Methods = methods
		return cred
	}
	long := Credentials{User: "tim", Password: strings.Repeat("x", 500), Methods: []string{"plain"}}
	for name, x := range map[string]struct {
		offered string
		cred    Credentials
		dialog  []string // what the client sends, and the answer to that
		method  string
		err     error // nil and no method = another one
	}{
		"CRAM-MD5 in clear text":       {"PLAIN CRAM-MD5", tim, []string{"AUTH CRAM-MD5", "334 " + challenge, digest, "235 in"}, "cram-md5", nil},
		"no password in clear text":    {"PLAIN LOGIN", tim, nil, "", login.ErrClearPassword},
		"no login offered":             {"", tim, nil, "", login.ErrClearPassword},
		"no token in clear text":       {"XOAUTH2", Credentials{User: "tim", Token: "x"}, nil, "", login.ErrClearToken},
		"PLAIN by name":                {"PLAIN", named("plain"), []string{"AUTH PLAIN AHRpbQB0YW5zdGFhZnRhbnN0YWFm", "235 in"}, "plain", nil},
		"PLAIN that is too long":       {"PLAIN", long, []string{"AUTH PLAIN", "334 ", "any", "235 in"}, "plain", nil},
		"LOGIN with odd prompts":       {"LOGIN", named("login"), []string{"AUTH LOGIN", "334 Pz8=", "dGlt", "334 Pz8=", "dGFuc3RhYWZ0YW5zdGFhZg==", "235 in"}, "login", nil},
		"accepted without a proof":     {"SCRAM-SHA-256", tim, []string{"any", "235 in"}, "", login.ErrSkipped},
		"CRAM-MD5 without a challenge": {"CRAM-MD5", tim, []string{"AUTH CRAM-MD5", "235 in"}, "", login.ErrSkipped},
		"no ticket":                    {"GSSAPI", named("gssapi"), nil, "", nil},
		"a challenge that is nonsense": {"CRAM-MD5", tim, []string{"AUTH CRAM-MD5", "334 !", "*", "501 given up"}, "", nil},
		"a server that goes on asking": {"CRAM-MD5", tim, []string{"AUTH CRAM-MD5", "334 !", "*", "334 again"}, "", nil},
	} {
		t.Run(name, func(t *testing.T) {
			r := newReceiver(t)
			r.smtp = true
			if x.offered != "" {
				r.greets = []string{"AUTH " + x.offered}
			}
			r.dialog = x.dialog
			d := r.relay()
			c, err := Dial(t.Context(), d.Network, d.Address, Options{SMTP: true})
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			method, err := c.Login(x.cred)
			if (err == nil) != (x.method != "") || err == nil && method != x.method || x.err != nil && !errors.Is(err, x.err) {
				t.Errorf("got %q, %v", method, err)
			}
		})
	}
}
