package discovery

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// world is what an address has around it: records of DNS, documents by host and path, and
// servers that answer.
type world struct {
	srv     map[string][]*net.SRV // by "service domain"
	mx      map[string]string
	dnsDown bool
	pages   map[string]string // by host and path; "redirect:URL" leads on
	up      []string          // host:port of servers that answer

	mu    sync.Mutex
	asked []string // URLs
	said  []string
}

func none(name string) error { return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true} }

func (w *world) LookupSRV(_ context.Context, service, _, name string) (string, []*net.SRV, error) {
	if w.dnsDown {
		return "", nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	}
	if list := w.srv[service+" "+strings.TrimSuffix(name, ".")]; list != nil && strings.HasSuffix(name, ".") {
		return "", list, nil
	}
	return "", nil, none(name)
}

func (w *world) LookupMX(_ context.Context, name string) ([]*net.MX, error) {
	if w.dnsDown {
		return nil, &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	}
	if host := w.mx[strings.TrimSuffix(name, ".")]; host != "" && strings.HasSuffix(name, ".") {
		return []*net.MX{{Host: host, Pref: 10}}, nil
	}
	return nil, none(name)
}

func (w *world) RoundTrip(r *http.Request) (*http.Response, error) {
	w.mu.Lock()
	w.asked = append(w.asked, r.URL.String())
	w.mu.Unlock()
	page, ok := w.pages[r.URL.Host+r.URL.Path]
	if !ok {
		return nil, none(r.URL.Host)
	}
	response := &http.Response{StatusCode: http.StatusOK, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(page)), Request: r}
	if to, ok := strings.CutPrefix(page, "redirect:"); ok {
		response.StatusCode = http.StatusFound
		response.Header.Set("Location", to)
	}
	return response, nil
}

func (w *world) find(t *testing.T, address string) (Server, error) {
	t.Helper()
	a, err := ParseAddress(address)
	if err != nil {
		t.Fatal(err)
	}
	f := Finder{
		Resolver: w, Web: w,
		Probe: func(_ context.Context, s Server) error {
			if slices.Contains(w.up, s.Address()) {
				return nil
			}
			return fmt.Errorf("connect to %s: connection refused", s.Address())
		},
		Say:  func(what, result string) { w.said = append(w.said, what+": "+result) },
		Wait: time.Minute,
	}
	return f.Find(context.Background(), a)
}

// document is the settings of a provider.
func document(servers string) string {
	return `<?xml version="1.0"?><clientConfig version="1.1"><emailProvider id="x"><domain>x</domain>` +
		`<incomingServer type="imap"><hostname>imap.example.org</hostname><port>993</port><socketType>SSL</socketType></incomingServer>` + servers +
		`</emailProvider></clientConfig>`
}

func pop3(host string, port int, socket, user, auth string) string {
	return fmt.Sprintf(`<incomingServer type="pop3"><hostname>%s</hostname><port>%d</port><socketType>%s</socketType><username>%s</username>%s</incomingServer>`, host, port, socket, user, auth)
}

const oauthOnly = "<authentication>OAuth2</authentication>"

func TestServerIsFoundInTheFirstPlaceThatHasOne(t *testing.T) {
	both := map[string][]*net.SRV{
		"pop3s example.org": {{Target: "pop.example.org.", Port: 9955, Priority: 10}},
		"pop3 example.org":  {{Target: "mail.example.org.", Port: 1100, Priority: 5}},
	}
	page := func(url, servers string) map[string]string { return map[string]string{url: document(servers)} }
	const own, known = "autoconfig.example.org/mail/config-v1.1.xml", "example.org/.well-known/autoconfig/mail/config-v1.1.xml"
	for name, x := range map[string]struct {
		world   *world
		address string
		want    Server // without Source
	}{
		"a provider of the table": {&world{up: []string{"pop.gmail.com:995"}}, "me@gmail.com", Server{Host: "pop.gmail.com", Port: 995, User: "me@gmail.com"}},
		"a provider whose users have short names": {&world{up: []string{"pop3.web.de:995"}}, "Me@WEB.de",
			Server{Host: "pop3.web.de", Port: 995, User: "Me"}},
		"a provider that takes tokens": {&world{up: []string{"outlook.office365.com:995"}}, "me@hotmail.com",
			Server{Host: "outlook.office365.com", Port: 995, User: "me@hotmail.com", TokenOnly: true}},
		"SRV by priority": {&world{srv: both, up: []string{"pop.example.org:9955", "mail.example.org:1100"}}, "me@example.org",
			Server{Host: "mail.example.org", Port: 1100, StartTLS: true, User: "me@example.org"}},
		"SRV, the first is down": {&world{srv: both, up: []string{"pop.example.org:9955"}}, "me@example.org",
			Server{Host: "pop.example.org", Port: 9955, User: "me@example.org"}},
		"SRV to another domain": {&world{srv: map[string][]*net.SRV{"pop3s example.org": {{Target: "pop.example.net.", Port: 995}}}, up: []string{"pop.example.net:995"}}, "me@example.org",
			Server{Host: "pop.example.net", Port: 995, User: "me@example.org", Doubtful: true}},
		"SRV to a known provider": {&world{srv: map[string][]*net.SRV{"pop3s example.org": {{Target: "pop.fastmail.com.", Port: 995}}}, up: []string{"pop.fastmail.com:995"}}, "me@example.org",
			Server{Host: "pop.fastmail.com", Port: 995, User: "me@example.org"}},
		"the provider's page": {&world{srv: both, pages: page(own, pop3("POP.example.net", 995, "SSL", "%EMAILLOCALPART%", "")), up: []string{"pop.example.net:995", "pop.example.org:9955"}},
			"me+x@example.org", Server{Host: "pop.example.net", Port: 995, User: "me+x"}},
		"a page without encryption": {&world{srv: both, pages: page(own, pop3("pop.example.net", 110, "plain", "me", "")), up: []string{"pop.example.net:110", "pop.example.org:9955"}},
			"me@example.org", Server{Host: "pop.example.org", Port: 9955, User: "me@example.org"}},
		"the well-known page": {&world{pages: page(known, pop3("pop.%EMAILDOMAIN%", 110, "STARTTLS", "%EMAILADDRESS%", oauthOnly)), up: []string{"pop.example.org:110"}},
			"me@example.org", Server{Host: "pop.example.org", Port: 110, StartTLS: true, User: "me@example.org", TokenOnly: true}},
		"a page by redirection": {&world{pages: map[string]string{own: "redirect:https://host.example/x", "host.example/x": document(pop3("a.example", 995, "SSL", "", ""))}, up: []string{"a.example:995"}},
			"me@example.org", Server{Host: "a.example", Port: 995, User: "me@example.org"}},
		"the database": {&world{pages: page("autoconfig.thunderbird.net/v1.1/example.org", pop3("a.example", 995, "SSL", "", "")), up: []string{"a.example:995"}},
			"me@example.org", Server{Host: "a.example", Port: 995, User: "me@example.org"}},
		"MX of the table": {&world{mx: map[string]string{"example.org": "ASPMX.L.google.com."}, up: []string{"pop.gmail.com:995"}}, "me@example.org",
			Server{Host: "pop.gmail.com", Port: 995, User: "me@example.org"}},
		"MX of the database": {&world{mx: map[string]string{"example.org": "mx.hoster.example.co.uk."}, up: []string{"a.example:995"},
			pages: page("autoconfig.thunderbird.net/v1.1/example.co.uk", pop3("a.example", 995, "SSL", "", ""))}, "me@example.org", Server{Host: "a.example", Port: 995, User: "me@example.org"}},
		"a usual name": {&world{up: []string{"mail.example.org:995", "pop.example.org:110"}}, "me@example.org",
			Server{Host: "mail.example.org", Port: 995, User: "me@example.org"}},
		"a usual name with STLS": {&world{dnsDown: true, up: []string{"example.org:110"}}, "me@example.org",
			Server{Host: "example.org", Port: 110, StartTLS: true, User: "me@example.org"}},
		"an international domain": {&world{up: []string{"pop.xn--bcher-kva.example:995"}}, "ich@Bücher.example",
			Server{Host: "pop.xn--bcher-kva.example", Port: 995, User: "ich@xn--bcher-kva.example"}},
	} {
		got, err := x.world.find(t, x.address)
		if got.Source == "" {
			t.Errorf("%s: no source", name)
		}
		got.Source = ""
		if err != nil || got != x.want {
			t.Errorf("%s: %+v, %v; said %q", name, got, err, x.world.said)
		}
	}
}

func TestWhyThereIsNoServer(t *testing.T) {
	dot := map[string][]*net.SRV{"pop3s example.org": {{Target: "."}}, "pop3 example.org": {{Target: "."}}}
	for name, x := range map[string]struct {
		world   *world
		address string
		want    string
	}{
		"no POP3 in the table":  {&world{}, "me@icloud.com", "icloud.com: iCloud has no POP3, only IMAP"},
		"no POP3 by MX":         {&world{mx: map[string]string{"example.org": "mail.protonmail.ch."}, up: []string{"mail.example.org:995"}}, "me@example.org", "example.org: Proton Mail has no POP3"},
		"no POP3 by SRV":        {&world{srv: dot, up: []string{"pop.example.org:995"}}, "me@example.org", "example.org: the domain says in DNS that it has no POP3"},
		"nothing at all":        {&world{}, "me@example.org", "example.org: no POP3 server found"},
		"no DNS":                {&world{dnsDown: true}, "me@example.org", "example.org: DNS does not answer"},
		"IMAP alone":            {&world{pages: map[string]string{"autoconfig.example.org/mail/config-v1.1.xml": document("")}}, "me@example.org", "none for POP3"},
		"a server that is down": {&world{srv: map[string][]*net.SRV{"pop3s example.org": {{Target: "pop.example.org.", Port: 995}}}, up: []string{"mail.example.org:995"}}, "me@example.org", "pop.example.org:995, which the SRV record of example.org names: connect to"},
	} {
		_, err := x.world.find(t, x.address)
		if err == nil || !strings.Contains(err.Error(), x.want) {
			t.Errorf("%s: %v; said %q", name, err, x.world.said)
		}
	}
}

// The address goes to its own provider, the domain to the database, and neither to anybody
// else; a known provider is not asked for at all.
func TestWhoLearnsOfTheAddress(t *testing.T) {
	w := &world{up: []string{"pop.gmail.com:995"}}
	if _, err := w.find(t, "me@gmail.com"); err != nil || len(w.asked) > 0 {
		t.Errorf("asked %q, %v", w.asked, err)
	}
	w = &world{}
	if _, err := w.find(t, "me+x@example.org"); err == nil {
		t.Error("found a server")
	}
	slices.Sort(w.asked)
	want := []string{
		"https://autoconfig.example.org/mail/config-v1.1.xml?emailaddress=me%2Bx%40example.org",
		"https://autoconfig.thunderbird.net/v1.1/example.org",
		"https://example.org/.well-known/autoconfig/mail/config-v1.1.xml",
	}
	if !slices.Equal(w.asked, want) {
		t.Errorf("asked %q", w.asked)
	}
	if !slices.ContainsFunc(w.said, func(s string) bool { return strings.Contains(s, "(told example.org and nothing else)") }) {
		t.Errorf("said %q", w.said)
	}
	f := Finder{Resolver: w, Web: w, NoDatabase: true, Say: func(string, string) {}, Probe: func(context.Context, Server) error { return errors.New("no") }}
	w.asked, w.mx = nil, map[string]string{"example.org": "mx.hoster.example."}
	f.Find(context.Background(), Address{"me", "example.org"})
	if len(w.asked) != 2 || strings.Contains(strings.Join(w.asked, " "), "thunderbird") {
		t.Errorf("asked %q", w.asked)
	}
	w = &world{mx: w.mx}
	if _, err := w.find(t, "me@example.org"); err == nil || !slices.Contains(w.asked, "https://autoconfig.thunderbird.net/v1.1/hoster.example") {
		t.Errorf("%v; asked %q", err, w.asked)
	}
	if !slices.ContainsFunc(w.said, func(s string) bool { return strings.Contains(s, "(told hoster.example and nothing else)") }) {
		t.Errorf("the domain that was asked for is not said: %q", w.said)
	}
}

func TestRedirectionOutOfHTTPSIsNotFollowed(t *testing.T) {
	w := &world{pages: map[string]string{
		"autoconfig.example.org/mail/config-v1.1.xml": "redirect:http://evil.example/x", "evil.example/x": document(pop3("evil.example", 995, "SSL", "", "")),
	}, up: []string{"evil.example:995"}}
	if s, err := w.find(t, "me@example.org"); err == nil {
		t.Errorf("found %+v", s)
	}
	if strings.Contains(strings.Join(w.said, " "), "emailaddress") {
		t.Errorf("said %q", w.said)
	}
}

func TestAddresses(t *testing.T) {
	for text, want := range map[string]Address{
		"me@.": {}, "me@..": {}, "me@.example.org": {},
		"me@example.org":         {"me", "example.org"},
		"  Me+X@Example.ORG. \n": {"Me+X", "example.org"},
		"<me@example.org>":       {"me", "example.org"},
		`"a@b"@example.org`:      {`"a@b"`, "example.org"},
		"jörg@müller.example":    {"jörg", "xn--mller-kva.example"},
		"me@localhost":           {"me", "localhost"},
		"me":                     {},
		"":                       {},
		"  ":                     {},
		"@example.org":           {},
		"me@":                    {},
		"me you@example.org":     {},
		"me@exa mple.org":        {},
		"me@example..org":        {},
		"me@-example.org":        {},
		"me@127.0.0.1":           {},
		"me@example.org\x1b[2J":  {},
		"me@" + strings.Repeat("a.", 130) + "org": {},
	} {
		got, err := ParseAddress(text)
		if got != want || (err == nil) != (want != Address{}) {
			t.Errorf("%q: %+v, %v", text, got, err)
		}
	}
}

func FuzzDocument(f *testing.F) {
	f.Add([]byte(document(pop3("pop.%EMAILDOMAIN%", 995, "SSL", "%EMAILLOCALPART%", oauthOnly))))
	f.Add([]byte("<!DOCTYPE html><html><br><p>"))
	f.Fuzz(func(t *testing.T, data []byte) {
		servers, _, err := parseDocument(data, "a page", Address{"me", "example.org"})
		for _, s := range servers {
			if err != nil || !isHost(s.Host) || s.Port < 1 || s.Port > 65535 || s.User == "" {
				t.Errorf("%+v", s)
			}
		}
	})
}
