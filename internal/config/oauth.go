package config

import (
	"fmt"
	"net/url"
	"reflect"
	"slices"
	"strings"
)

// OAuth says at which OAuth 2.0 provider an account signs in. The zero value is none.
// After Load everything is set that the provider has.
type OAuth struct {
	Provider    string   `toml:"provider"`      // "google", "microsoft", or "" for another one
	Tenant      string   `toml:"tenant"`        // of microsoft
	AuthURL     string   `toml:"auth_url"`      // authorization endpoint, RFC 6749 section 3.1
	TokenURL    string   `toml:"token_url"`     // token endpoint, RFC 6749 section 3.2
	DeviceURL   string   `toml:"device_url"`    // device authorization endpoint, RFC 8628 section 3.1; "" = none
	RedirectURL string   `toml:"redirect_url"`  // on this machine, RFC 8252 section 7.3; without a port any will do
	Scopes      []string `toml:"scopes,scopes"` // what the token is for

	// As in Login, where Load puts them.
	ClientID            string   `toml:"client_id"`
	ClientSecret        Secret   `toml:"client_secret"`
	ClientSecretCommand []string `toml:"client_secret_command,argv"`
}

// IsSet reports whether there is a provider.
func (o OAuth) IsSet() bool { return o.Provider != "" || o.AuthURL != "" || o.TokenURL != "" }

// String names the provider.
func (o OAuth) String() string {
	if o.Provider != "" {
		return o.Provider
	}
	u, err := url.Parse(o.TokenURL)
	if err != nil {
		return ""
	}
	return u.Host
}

// The providers with a name.
const (
	Google    = "google"
	Microsoft = "microsoft"
)

// provider returns what is known of a provider with a name. scope is that of Microsoft.
func provider(name, tenant, scope string) OAuth {
	switch name {
	case Google:
		// Google's device flow is not for mail.
		return OAuth{
			AuthURL: "https://accounts.google.com/o/oauth2/v2/auth", TokenURL: "https://oauth2.googleapis.com/token",
			RedirectURL: "http://127.0.0.1", Scopes: []string{"https://mail.google.com/"},
		}
	case Microsoft:
		base := "https://login.microsoftonline.com/" + url.PathEscape(tenant) + "/oauth2/v2.0/"
		return OAuth{
			AuthURL: base + "authorize", TokenURL: base + "token", DeviceURL: base + "devicecode",
			RedirectURL: "http://localhost", Scopes: []string{scope, "offline_access"},
		}
	}
	return OAuth{RedirectURL: "http://127.0.0.1"}
}

// NamedOAuth returns what oauth = "google" or "microsoft" means for an account.
func NamedOAuth(name string) OAuth {
	tenant := ""
	if name == Microsoft {
		tenant = "common"
	}
	o := provider(name, tenant, pop3().scope)
	o.Provider, o.Tenant = name, tenant
	return o
}

// oauth reads the key oauth: the name of a provider, or a table.
func (l *loader) oauth(dst *OAuth, v any, path []string) bool {
	problems := len(l.errs)
	table, isTable := v.(map[string]any)
	switch {
	case isTable:
		*dst = OAuth{}
		l.table(reflect.ValueOf(dst).Elem(), table, path)
	default:
		name, ok := v.(string)
		if !ok {
			l.add(path, expected(`"google", "microsoft" or a table with the endpoints of another provider`, v).Error(), "")
			return false
		}
		*dst = OAuth{Provider: name}
	}
	if len(l.errs) > problems {
		return false
	}
	l.complete(dst, path)
	return len(l.errs) == problems
}

// complete fills in what a provider with a name has, and checks the rest.
func (l *loader) complete(o *OAuth, path []string) {
	at := func(key string) []string { return append(path[:len(path):len(path)], key) }
	names := []string{Google, Microsoft}
	if o.Provider != "" && !slices.Contains(names, o.Provider) {
		l.add(path, fmt.Sprintf("%s is an unknown provider; the known ones are %s%s", quote(o.Provider), orList(names), didYouMean(o.Provider, names)),
			"for another one write a table with auth_url, token_url and scopes")
		return
	}
	if o.Tenant != "" && o.Provider != Microsoft {
		l.add(at("tenant"), "tenant is for the provider microsoft alone", "")
	}
	if o.Provider == Microsoft && o.Tenant == "" {
		o.Tenant = NamedOAuth(Microsoft).Tenant
	}
	p := protocolAt(path[:len(path)-1])
	known := provider(o.Provider, o.Tenant, p.scope)
	for _, f := range []struct {
		key      string
		value    *string
		standard string
		required bool
	}{
		{"auth_url", &o.AuthURL, known.AuthURL, true},
		{"token_url", &o.TokenURL, known.TokenURL, true},
		{"device_url", &o.DeviceURL, known.DeviceURL, false},
		{"redirect_url", &o.RedirectURL, known.RedirectURL, false},
	} {
		if *f.value == "" {
			*f.value = f.standard
		}
		switch u, err := url.Parse(*f.value); {
		case *f.value == "" && f.required:
			l.add(at(f.key), "missing", `name a provider, "google" or "microsoft", or write all of auth_url, token_url and scopes`)
		case *f.value == "":
		case f.key == "redirect_url":
			if err != nil || u.Scheme != "http" || !isLoopback(u.Hostname()) || u.RawQuery != "" || u.Fragment != "" {
				l.add(at(f.key), "the page that the browser is sent to is on this machine", `write "http://127.0.0.1", "http://localhost", or one of these with a port and a path`)
			}
		case err != nil || u.Host == "" || u.User != nil || u.Scheme != "https" && !(u.Scheme == "http" && isLoopback(u.Hostname())):
			l.add(at(f.key), "this is not an https:// URL", "tokens and codes do not cross the network in clear text")
		}
	}
	if o.Scopes == nil {
		o.Scopes = known.Scopes
	}
	if o.Scopes == nil {
		l.add(at("scopes"), "missing", "the provider's documentation names the scope for access to mail")
	}
}

// scopes reads one scope or a list of them.
func scopes(v any) ([]string, error) {
	list, err := oneOrMore("a scope or a list of scopes", v)
	if err != nil {
		return nil, err
	}
	for _, s := range list {
		if s == "" || strings.ContainsAny(s, " \"\\") { // RFC 6749 section 3.3
			return nil, fmt.Errorf("%s is not a scope; write several as a list", quote(s))
		}
	}
	return list, nil
}

// liftClient moves what the table says of the client to the login.
func (l *loader) liftClient(g *login) {
	o := &g.OAuth
	lift := func(key string, there bool) bool {
		if there && g.set[key] {
			l.add(g.at(key), "the table oauth has "+key+" too", "keep one of them")
		}
		g.set[key] = g.set[key] || there
		return there
	}
	if lift("client_id", o.ClientID != "") {
		g.ClientID = o.ClientID
	}
	if lift("client_secret", o.ClientSecret.IsSet()) {
		g.ClientSecret = o.ClientSecret
	}
	if lift("client_secret_command", o.ClientSecretCommand != nil) {
		g.ClientSecretCommand = o.ClientSecretCommand
	}
	o.ClientID, o.ClientSecret, o.ClientSecretCommand = "", Secret{}, nil
}

// checkClient notes keys of the client without a provider, and a provider without a
// client.
func (l *loader) checkClient(g *login) {
	if g.account == "" {
		return
	}
	if g.OAuth.IsSet() && g.ClientID == "" {
		l.add(g.at("client_id"), "missing: oauth needs the identity of a client that you have registered with the provider",
			"popfetch-oauth(7) says where to get one, and when an app password does without")
	}
	for _, key := range []string{"client_id", "client_secret", "client_secret_command"} {
		if g.set[key] && !g.OAuth.IsSet() {
			l.add(g.at(key), key+" has no effect without oauth", "leave it out")
		}
	}
}

// encode returns the table as TOML on one line, "" for none. scope is as in provider.
func (o OAuth) encode(scope string) string {
	if !o.IsSet() {
		return ""
	}
	standard := provider(o.Provider, o.Tenant, scope)
	var parts []string
	add := func(key, value, standard string) {
		if value != standard {
			parts = append(parts, key+" = "+quoteTOML(value))
		}
	}
	add("provider", o.Provider, "")
	if o.Tenant != "common" {
		add("tenant", o.Tenant, "")
	}
	add("auth_url", o.AuthURL, standard.AuthURL)
	add("token_url", o.TokenURL, standard.TokenURL)
	add("device_url", o.DeviceURL, standard.DeviceURL)
	add("redirect_url", o.RedirectURL, standard.RedirectURL)
	if !slices.Equal(o.Scopes, standard.Scopes) {
		var quoted []string
		for _, s := range o.Scopes {
			quoted = append(quoted, quoteTOML(s))
		}
		parts = append(parts, "scopes = ["+strings.Join(quoted, ", ")+"]")
	}
	if o.Provider != "" && len(parts) == 1 {
		return quoteTOML(o.Provider)
	}
	return "{ " + strings.Join(parts, ", ") + " }"
}
