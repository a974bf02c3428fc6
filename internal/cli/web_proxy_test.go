//go:build linux

package cli_test

import (
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
)

// refusingProxy is an HTTP proxy that reaches nothing, and notes what it is asked for.
type refusingProxy struct {
	*httptest.Server
	status int

	mu    sync.Mutex
	asked []string
}

func startRefusingProxy(t *testing.T, status int) *refusingProxy {
	p := &refusingProxy{status: status}
	p.Server = httptest.NewServer(p)
	t.Cleanup(p.Close)
	return p
}

func (p *refusingProxy) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.asked = append(p.asked, r.Method+" "+r.Host)
	w.WriteHeader(p.status)
}

// taken returns what the proxy was asked for since the last call.
func (p *refusingProxy) taken() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	asked := p.asked
	p.asked = nil
	return asked
}

// Behind a firewall the provider is reached in the same way as the mail server.
func TestProviderIsReachedThroughTheProxyOfTheAccount(t *testing.T) {
	t.Parallel()
	own, web, all := startRefusingProxy(t, http.StatusBadGateway), startRefusingProxy(t, http.StatusBadGateway), startRefusingProxy(t, http.StatusBadGateway)
	closed := startRefusingProxy(t, http.StatusProxyAuthRequired)
	const provider = "CONNECT id.example.invalid:443"
	for name, x := range map[string]struct {
		key  string
		env  []string
		want *refusingProxy // nil = none
		code int
		says string
	}{
		"the account's":       {fmt.Sprintf("proxy = %q", own.URL), []string{"https_proxy=" + web.URL, "ALL_PROXY=" + all.URL}, own, 75, "502 Bad Gateway"},
		"that of the web":     {"", []string{"HTTPS_PROXY=" + web.URL, "ALL_PROXY=" + all.URL}, web, 75, "Bad Gateway"},
		"that of everything":  {"", []string{"ALL_PROXY=" + all.URL}, all, 75, "502 Bad Gateway"},
		"an exception":        {"", []string{"ALL_PROXY=" + all.URL, "no_proxy=example.invalid"}, nil, 75, "id.example.invalid"},
		"none":                {`proxy = "none"`, []string{"https_proxy=" + web.URL, "ALL_PROXY=" + all.URL}, nil, 75, "id.example.invalid"},
		"one that is closed":  {fmt.Sprintf("proxy = %q", closed.URL), nil, closed, 78, "the proxy wants a login"},
		"one that is not one": {"", []string{"ALL_PROXY=p"}, nil, 78, "environment variable ALL_PROXY"},
	} {
		t.Run(name, func(t *testing.T) {
			h := newUserHome(t, fmt.Sprintf(`[account.work]
server = "127.0.0.1:1"
user = "alice"
oauth = { auth_url = "https://id.example.invalid/authorize", token_url = "https://id.example.invalid/token", device_url = "https://id.example.invalid/device", scopes = "mail" }
client_id = "popfetch"
maildir = "~/Mail"
%s
`, x.key))
			e := h.exits(x.code, "exec popfetch authorize work --device", x.env...)
			if !strings.Contains(e.stderr, x.says) || !strings.Contains(e.stderr, "oauth id.example.invalid: the provider at id.example.invalid") {
				t.Errorf("it says %s", e.stderr)
			}
			for _, p := range []*refusingProxy{own, web, all, closed} {
				asked := p.taken()
				if p == x.want && !slices.Equal(asked, []string{provider}) || p != x.want && len(asked) > 0 {
					t.Errorf("a proxy was asked for %q", asked)
				}
			}
		})
	}
}

// Who has two uplinks names the one for an account by source_address.
func TestProviderIsAskedFromTheSourceAddressOfTheAccount(t *testing.T) {
	t.Parallel()
	callers := make(chan string, 10)
	server := func() *httptest.Server {
		return httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			host, _, _ := net.SplitHostPort(r.RemoteAddr)
			callers <- host
			w.WriteHeader(http.StatusBadGateway)
		}))
	}
	cert := initCertificate(t)
	provider, proxy := server(), server()
	provider.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	provider.StartTLS()
	defer provider.Close()
	proxy.Start()
	defer proxy.Close()
	trust := newNewcomer(t, cert, provider.Listener.Addr().String(), nil).trust
	for name, x := range map[string]struct{ url, key, env string }{
		"straight":                {provider.URL, "", "A=b"},
		"by the account's proxy":  {"https://id.example.invalid", fmt.Sprintf("proxy = %q", proxy.URL), "A=b"},
		"by the proxy of the web": {"https://id.example.invalid", "", "https_proxy=" + proxy.URL},
		"by the proxy for all":    {"https://id.example.invalid", "", "ALL_PROXY=" + proxy.URL},
	} {
		h := newUserHome(t, fmt.Sprintf(`[account.work]
server = "127.0.0.1:1"
user = "alice"
oauth = { auth_url = "%[1]s/authorize", token_url = "%[1]s/token", device_url = "%[1]s/device", scopes = "mail" }
client_id = "popfetch"
maildir = "~/Mail"
source_address = "127.0.0.2"
%[2]s
`, x.url, x.key))
		e := h.exits(75, "exec popfetch authorize work --device", x.env, "SSL_CERT_FILE="+trust)
		select {
		case host := <-callers:
			if host != "127.0.0.2" {
				t.Errorf("%s: the connection comes from %s", name, host)
			}
		default:
			t.Errorf("%s: nobody was asked: %s", name, e.stderr)
		}
	}
}

// What is said of the provider is not about the mail server.
func TestProviderThatIsDownIsNotTakenForTheMailServer(t *testing.T) {
	t.Parallel()
	h := newUserHome(t, `[account.work]
server = "127.0.0.1:1"
user = "alice"
oauth = { provider = "microsoft", device_url = "https://127.0.0.1:1/device" }
client_id = "popfetch"
maildir = "~/Mail"
`)
	e := h.exits(75, "exec popfetch authorize work --device")
	if !strings.Contains(e.stderr, "the provider at 127.0.0.1:1 does not answer: ") || !strings.Contains(e.stderr, "is the network up") || strings.Contains(e.stderr, "995") {
		t.Errorf("it says %s", e.stderr)
	}
}

// init connects as a poll does.
func TestInitLooksThroughTheProxyOfTheEnvironment(t *testing.T) {
	t.Parallel()
	p := startRefusingProxy(t, http.StatusBadGateway)
	h := newUserHome(t, "")
	e := h.exits(75, "exec popfetch init --print --no-input --password-file none me@example.invalid --server pop.example.invalid", "ALL_PROXY="+p.URL)
	if asked := p.taken(); !slices.Equal(asked, []string{"CONNECT pop.example.invalid:995", "CONNECT pop.example.invalid:110"}) {
		t.Errorf("the proxy was asked for %q; init says %s", asked, e.stderr)
	}
	h.run("exec popfetch init --print --no-input --password-file none me@example.invalid", "ALL_PROXY="+p.URL)
	if asked := p.taken(); !slices.Contains(asked, "CONNECT autoconfig.example.invalid:443") {
		t.Errorf("the proxy was asked for %q", asked)
	}
}

// The connection to the proxy is secured, and that to the server inside it.
func TestServerIsReachedThroughAProxyWithTLS(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 2)
	n := newNewcomer(t, cert, s.Addr(), nil)
	logins := make(chan string, 10) // what the proxy was sent
	proxy := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		logins <- r.Header.Get("Proxy-Authorization")
		server, err := net.Dial("tcp", s.Addr())
		if r.Method != http.MethodConnect || r.Host != "far.example:995" || err != nil {
			w.WriteHeader(http.StatusBadGateway)
			return
		}
		defer server.Close()
		w.WriteHeader(http.StatusOK)
		client, buffered, err := http.NewResponseController(w).Hijack()
		if err != nil {
			return
		}
		defer client.Close()
		go func() {
			io.Copy(server, buffered)
			server.Close()
		}()
		io.Copy(client, server)
	}))
	proxy.Config.ErrorLog = log.New(io.Discard, "", 0)
	proxy.TLS = &tls.Config{Certificates: []tls.Certificate{*cert}}
	proxy.StartTLS()
	t.Cleanup(proxy.Close)
	address := proxy.Listener.Addr().String()
	n.configure(fmt.Sprintf("[account.me]\nserver = \"far.example\"\ntls_server_name = \"localhost\"\nuser = \"me\"\npassword = %q\nproxy = \"https://bob:of-the-proxy@%s\"\nmaildir = \"~/Mail/me\"\n", secret, address))
	n.exits(0, "exec popfetch --once", n.env()...)
	want := "Basic " + base64.StdEncoding.EncodeToString([]byte("bob:of-the-proxy"))
	if got := n.mail("me", "new"); got != 2 || len(logins) != 1 || <-logins != want {
		t.Errorf("%d messages; the proxy was not sent %q once", got, want)
	}
	e := n.exits(75, "exec popfetch --once")
	if !strings.Contains(e.stderr, "secure the connection to the proxy: ") || !strings.Contains(e.stderr, "hint: the certificate of the proxy") || len(logins) > 0 {
		t.Errorf("without trust in its certificate the proxy was sent %d requests; popfetch says %s", len(logins), e.stderr)
	}
}
