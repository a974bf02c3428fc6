package discovery

import (
	"bytes"
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

const (
	databaseHost = "autoconfig.thunderbird.net"
	maxDocument  = 256 << 10 // octets of an XML file
	maxRedirects = 3
)

// autoconfig asks the provider for its settings. The address goes to the provider of the
// address, by HTTPS alone.
func (f *Finder) autoconfig(ctx context.Context, a Address) answer {
	host := "autoconfig." + a.Domain
	r := f.document(ctx, "https://"+host+"/mail/config-v1.1.xml?emailaddress="+url.QueryEscape(a.String()), host, a)
	r.what = "https://" + host
	return r
}

// wellKnown asks the web server of the domain.
func (f *Finder) wellKnown(ctx context.Context, a Address) answer {
	where := "https://" + a.Domain + "/.well-known/autoconfig"
	r := f.document(ctx, where+"/mail/config-v1.1.xml", where, a)
	r.what = where
	return r
}

// database asks Thunderbird's database, which learns the domain and nothing else.
func (f *Finder) database(ctx context.Context, a Address) answer {
	if f.NoDatabase {
		return answer{}
	}
	return f.fromDatabase(ctx, a.Domain, a)
}

func (f *Finder) fromDatabase(ctx context.Context, domain string, a Address) answer {
	r := f.document(ctx, "https://"+databaseHost+"/v1.1/"+url.PathEscape(domain), "Thunderbird's database", a)
	r.what = databaseHost + " (told " + domain + " and nothing else)"
	return r
}

// document reads the settings at an address of the web.
func (f *Finder) document(ctx context.Context, address, source string, a Address) answer {
	data, err := f.get(ctx, address)
	if err != nil || data == nil {
		return answer{err: err}
	}
	servers, imapOnly, err := parseDocument(data, source, a)
	return answer{servers: servers, imapOnly: imapOnly, err: err}
}

// get returns a document, nil if there is none.
func (f *Finder) get(ctx context.Context, address string) ([]byte, error) {
	client := &http.Client{
		Transport: f.Web,
		CheckRedirect: func(r *http.Request, via []*http.Request) error {
			if r.URL.Scheme != "https" || len(via) > maxRedirects {
				return fmt.Errorf("a redirection to %s://%s is not followed", r.URL.Scheme, r.URL.Host)
			}
			return nil
		},
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		return nil, err
	}
	response, err := client.Do(request)
	if err != nil {
		if notFound(err) {
			return nil, nil
		}
		var e *url.Error // has the address of the user
		if errors.As(err, &e) {
			err = e.Err
		}
		return nil, err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return nil, nil
	}
	data, err := io.ReadAll(io.LimitReader(response.Body, maxDocument+1))
	switch {
	case err != nil:
		return nil, err
	case len(data) > maxDocument:
		return nil, errors.New("the answer is too long")
	}
	return data, nil
}

// clientConfig is what is read of a configuration file of Thunderbird, version 1.1.
type clientConfig struct {
	XMLName xml.Name `xml:"clientConfig"`
	Servers []struct {
		Type           string   `xml:"type,attr"`
		Hostname       string   `xml:"hostname"`
		Port           int      `xml:"port"`
		SocketType     string   `xml:"socketType"`
		Username       string   `xml:"username"`
		Authentication []string `xml:"authentication"`
	} `xml:"emailProvider>incomingServer"`
}

// parseDocument returns the servers for POP3 with TLS. none reports whether there are only
// others.
func parseDocument(data []byte, source string, a Address) (servers []Server, none bool, err error) {
	var c clientConfig
	d := xml.NewDecoder(bytes.NewReader(data))
	d.Strict = false // a web server's page for an address that it does not know is no XML
	if err := d.Decode(&c); err != nil {
		return nil, false, errors.New("a page that is not a configuration")
	}
	fill := strings.NewReplacer("%EMAILADDRESS%", a.String(), "%EMAILLOCALPART%", a.Local, "%EMAILDOMAIN%", a.Domain).Replace
	for _, in := range c.Servers {
		s := Server{
			Host: strings.ToLower(strings.TrimSpace(fill(in.Hostname))), Port: in.Port, StartTLS: in.SocketType == "STARTTLS",
			User: strings.TrimSpace(fill(in.Username)), Source: source,
			TokenOnly: slices.Contains(in.Authentication, "OAuth2") && !slices.ContainsFunc(in.Authentication, func(m string) bool { return m != "OAuth2" }),
		}
		if s.User == "" || strings.ContainsFunc(s.User, unicode.IsControl) || strings.Contains(s.User, "%") && !strings.Contains(a.Local, "%") {
			s.User = a.String()
		}
		secure := in.SocketType == "SSL" || in.SocketType == "STARTTLS"
		if in.Type == "pop3" && secure && s.Port > 0 && s.Port < 1<<16 && isHost(s.Host) {
			servers = append(servers, s)
		}
	}
	return servers, len(servers) == 0 && len(c.Servers) > 0, nil
}

// isHost reports whether a name may be that of a host.
func isHost(name string) bool {
	odd := func(r rune) bool {
		return !('a' <= r && r <= 'z' || '0' <= r && r <= '9' || r == '-' || r == '.')
	}
	return name != "" && len(name) < 254 && strings.IndexFunc(name, odd) < 0 && !strings.HasPrefix(name, "-")
}
