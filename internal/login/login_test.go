package login

import (
	"crypto/tls"
	"errors"
	"slices"
	"strings"
	"testing"

	"popfetch/internal/mechanism"
)

func TestChoiceOfAMethod(t *testing.T) {
	private := &tls.ConnectionState{Version: tls.VersionTLS13}
	all := []string{"plain", "login", "cram-md5", "external", "gssapi", "scram-sha-1", "scram-sha-256", "scram-sha-256-plus", "xoauth2", "oauthbearer"}
	for name, x := range map[string]struct {
		cred     Credentials
		tls      *tls.ConnectionState
		discreet bool
		offers   []string
		want     string // "" = an error, see err
		err      error
	}{
		"a password over TLS":                     {Credentials{}, private, true, all, "scram-sha-256", nil},
		"no SCRAM over TLS":                       {Credentials{}, private, true, []string{"cram-md5", "login", "plain"}, "plain", nil},
		"a password in clear text":                {Credentials{}, nil, true, all, "scram-sha-256", nil},
		"what hides it before what shows it":      {Credentials{}, nil, false, []string{"plain", "cram-md5"}, "cram-md5", nil},
		"only what shows it, and no method named": {Credentials{}, nil, true, []string{"plain"}, "", ErrClearPassword},
		"the same where that is usual":            {Credentials{}, nil, false, []string{"plain"}, "plain", nil},
		"the same, and the method named":          {Credentials{Methods: []string{"plain"}}, nil, true, all, "plain", nil},
		"a token over TLS":                        {Credentials{Token: "t"}, private, true, all, "xoauth2", nil},
		"a token in clear text":                   {Credentials{Token: "t"}, nil, false, all, "", ErrClearToken},
		"a token, the method named":               {Credentials{Token: "t", Methods: []string{"oauthbearer"}}, nil, true, all, "oauthbearer", nil},
		"a bearer method without a token":         {Credentials{Methods: []string{"xoauth2", "plain"}}, private, true, all, "plain", nil},
		"GSSAPI without a ticket":                 {Credentials{Methods: []string{"gssapi", "plain"}}, private, true, all, "plain", nil},
		"a binding without TLS":                   {Credentials{Methods: []string{"scram-sha-256-plus", "scram-sha-1"}}, nil, true, all, "scram-sha-1", nil},
		"nothing that is offered":                 {Credentials{}, private, true, []string{"external"}, "", nil},
	} {
		s := Server{TLS: x.tls, Discreet: x.discreet, Offers: func(m string) bool { return slices.Contains(x.offers, m) }}
		got, err := x.cred.Choose(s)
		if got != x.want || (err == nil) != (x.want != "") || x.err != nil && !errors.Is(err, x.err) {
			t.Errorf("%s: %q, %v", name, got, err)
		}
	}
}

func TestInitialResponseThatIsTooLongAnswersTheFirstChallenge(t *testing.T) {
	e, err := Begin(mechanism.NewBearer("xoauth2", "me", strings.Repeat("t", 500), "", ""))
	if err != nil {
		t.Fatal(err)
	}
	if text, ok := e.Initial(510); ok {
		t.Errorf("%d octets are sent at once", len(text))
	}
	if err := e.Accepted(); !errors.Is(err, ErrSkipped) {
		t.Errorf("a login is believed before the token was sent: %v", err)
	}
	if text, err := e.Answer(""); err != nil || len(text) <= 510 {
		t.Errorf("the answer has %d octets, %v", len(text), err)
	}
	if _, ok := e.Initial(1 << 20); ok || e.Accepted() != nil {
		t.Error("the token is sent again, or the login not believed")
	}
}

func TestExchangeThatWasGivenUpEnds(t *testing.T) {
	refusal := errors.New("535")
	for name, challenges := range map[string][]string{
		"not base64":   {"?"},
		"one too many": {"", "", ""},
	} {
		e, err := Begin(mechanism.NewLogin("me", "secret"))
		if err != nil {
			t.Fatal(err)
		}
		last := ""
		for _, c := range challenges {
			if last, err = e.Answer(c); last == "*" || err != nil {
				break
			}
		}
		if last != "*" || err != nil {
			t.Errorf("%s: the last answer is %q, %v", name, last, err)
		}
		if e.Accepted() == nil {
			t.Errorf("%s: the login is believed", name)
		}
		if got := e.Refused(refusal); got == nil || errors.Is(got, refusal) {
			t.Errorf("%s: %v is not the reason of the client", name, got)
		}
		if _, err := e.Answer(""); err == nil {
			t.Errorf("%s: it goes on", name)
		}
	}
}
