package config

import (
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"strings"
)

// Login is how to reach a server, how to trust it, and how to log in. An account has one
// for its POP3 server; the table of a destination that is a server has one of its own,
// with the same keys.
type Login struct {
	Host string `toml:"-"` // of Server: lower case, no port, no brackets
	Port int    `toml:"-"` // of Server, or the usual one of TLS; 0 for a socket
	// Socket is the absolute path of a unix socket, "" for a host. Host is Server then.
	Socket string `toml:"-"`

	Server string `toml:"server"` // as written; of a URL host and port alone
	User   string `toml:"user"`   // no control characters; "" = no login, which POP3 and IMAP do not have

	// Where the secret comes from: at most one of these is set. With none of them
	// it is looked up in netrc, then asked for on the terminal.
	PasswordText    Secret   `toml:"password"`
	PasswordFile    string   `toml:"password_file,template"`
	PasswordCommand []string `toml:"password_command,argv"`
	Credential      string   `toml:"credential,name"`    // file name below $CREDENTIALS_DIRECTORY
	Keyring         bool     `toml:"keyring"`            // the keyring of the desktop
	TokenCommand    []string `toml:"token_command,argv"` // prints an OAuth 2.0 access token
	OAuth           OAuth    `toml:"oauth"`              // where popfetch itself signs in

	// The client that is registered with the provider of OAuth.
	ClientID            string   `toml:"client_id"` // set if OAuth is
	ClientSecret        Secret   `toml:"client_secret"`
	ClientSecretCommand []string `toml:"client_secret_command,argv"`

	TLS             TLSMode       `toml:"tls"`
	TLSCAFile       string        `toml:"tls_ca_file,path"`     // "" = the system's
	TLSFingerprints []Fingerprint `toml:"tls_fingerprint"`      // instead of the CA check: any of them, or FirstUse alone; nil = CA check
	TLSServerName   string        `toml:"tls_server_name"`      // "" = Host
	TLSMinVersion   TLSVersion    `toml:"tls_min_version"`      // a version of crypto/tls
	TLSClientCert   string        `toml:"tls_client_cert,path"` // PEM file; set if and only if TLSClientKey is
	TLSClientKey    string        `toml:"tls_client_key,path"`  // PEM file
	Auth            []string      `toml:"auth,words"`           // in order of preference; nil = auto

	SourceAddress netip.Addr `toml:"source_address"` // local address of the connection; zero = the system's choice
	Proxy         Proxy      `toml:"proxy"`
	Tunnel        []string   `toml:"tunnel,argv"` // program that is the connection; nil = none
}

// builtinLogin returns the built-in defaults.
func builtinLogin() Login { return Login{TLS: TLSImplicit, TLSMinVersion: TLS12} }

// Address returns host and port, or the socket.
func (g *Login) Address() string {
	if g.Socket != "" {
		return g.Host
	}
	return net.JoinHostPort(g.Host, strconv.Itoa(g.Port))
}

// bearerMethods are the methods that send an access token and no password.
func bearerMethods() []string { return []string{"xoauth2", "oauthbearer"} }

// saslMethods are the methods that POP3, IMAP and SMTP have in common.
func saslMethods() []string {
	return append([]string{"plain", "login", "cram-md5", External, GSSAPI, "scram-sha-1", "scram-sha-256", "scram-sha-1-plus", "scram-sha-256-plus"}, bearerMethods()...)
}

// YieldsToken reports whether the source of the secret can only yield an access token.
func (g *Login) YieldsToken() bool { return len(g.TokenCommand) > 0 || g.OAuth.IsSet() }

// TakesToken reports whether the key auth names a method that sends an access token. A
// secret that the configuration calls a password is taken for the token then.
func (g *Login) TakesToken() bool {
	return slices.ContainsFunc(g.Auth, func(m string) bool { return slices.Contains(bearerMethods(), m) })
}

// TakesPassword reports whether a method that sends or proves a password may be used.
func (g *Login) TakesPassword() bool {
	return g.Auth == nil || slices.ContainsFunc(g.Auth, func(m string) bool {
		return m != External && m != GSSAPI && m != NoLogin && !slices.Contains(bearerMethods(), m)
	})
}

// The methods that need no password and no token: External takes the client's
// certificate, GSSAPI a Kerberos ticket, and with NoLogin the server knows the user
// already, as one that a tunnel has started for that user does.
const (
	External = "external"
	GSSAPI   = "gssapi"
	NoLogin  = "none"
)

// NeedsSecret reports whether the login may need a password or a token.
func (g *Login) NeedsSecret() bool { return g.TakesPassword() || g.TakesToken() }

// namesPassword reports whether there is a source of the password.
func (g *Login) namesPassword() bool {
	return g.PasswordText.IsSet() || g.PasswordFile != "" || len(g.PasswordCommand) > 0 || g.Credential != "" || g.Keyring || g.YieldsToken()
}

// applies reports whether a key has an effect given the others.
func (g *Login) applies(key string) bool {
	switch {
	case strings.HasPrefix(key, "tls_"):
		return g.TLS != TLSNone
	case strings.HasPrefix(key, "client_"):
		return g.OAuth.IsSet()
	}
	return true
}

// protocol is what the keys of a Login depend on.
type protocol struct {
	key       string // of the table that has the keys, "" = the account itself
	example   string // of a server
	ports     map[TLSMode]int
	scope     string   // of Microsoft for access to mail by this protocol
	anonymous bool     // without user there is no login
	methods   []string // that auth accepts; nil = those of Options
}

func pop3() protocol {
	return protocol{
		example: "pop.example.org",
		ports:   map[TLSMode]int{TLSImplicit: 995, TLSStart: 110, TLSNone: 110}, // RFC 8314 section 7.2, RFC 1939 section 3
		scope:   "https://outlook.office.com/POP.AccessAsUser.All",
	}
}

// protocolAt returns the protocol of the login whose keys are at a path in the file.
func protocolAt(path []string) protocol {
	for _, t := range new(Account).tables() {
		if p := t.protocol(); len(path) > 0 && path[len(path)-1] == p.key {
			return p
		}
	}
	return pop3()
}

// serverTable is the table of a destination that is a server.
type serverTable interface {
	login() *Login
	protocol() protocol
	reset() // to the built-in defaults
	// fill replaces the placeholder {account} in the keys that are not of the login.
	fill(account string)
}

// tables returns the tables of an account for destinations that are servers. One that is
// not set has no Server.
func (a *Account) tables() []serverTable { return []serverTable{&a.SMTP, &a.IMAP} }

// loginFamilies returns the groups of keys of a login of which at most one is set.
func loginFamilies() []family {
	return []family{
		{[]string{"password", "password_file", "password_command", "credential", "keyring", "token_command", "oauth"}, "both say where the secret comes from"},
		{[]string{"client_secret", "client_secret_command"}, "both say where the client secret comes from"},
		{[]string{"tls_ca_file", "tls_fingerprint"}, "exclude each other: a fingerprint is checked instead of the authorities"},
		{[]string{"proxy", "tunnel"}, "are both a way to the server"},
	}
}

// login is a Login with its place in the file.
type login struct {
	*Login
	protocol
	account string // "" in [defaults]
	path    []string
	set     map[string]bool // keys that the section itself sets
}

func (g *login) at(key string) []string { return append(g.path[:len(g.path):len(g.path)], key) }

// logins returns those of a section: that of POP3, and those of tables for which keys
// are set.
func (s *section) logins() []login {
	all := []login{{&s.Login, pop3(), s.Name, s.path, s.set}}
	for _, t := range s.tables() {
		p := t.protocol()
		set := map[string]bool{}
		for key := range s.set {
			if own, ok := strings.CutPrefix(key, p.key+"."); ok {
				set[own] = true
			}
		}
		if len(set) > 0 || t.login().Server != "" {
			all = append(all, login{t.login(), p, s.Name, append(s.path[:len(s.path):len(s.path)], p.key), set})
		}
	}
	return all
}

// server reads the table of a destination on top of what dst has from [defaults]. The
// names of the valid keys go into good, behind that of the table.
func (l *loader) server(dst reflect.Value, v any, path []string, good map[string]bool) bool {
	t := dst.Addr().Interface().(serverTable)
	p := t.protocol()
	if text, ok := v.(string); ok {
		if s, ok := t.(interface{ short(string) error }); ok {
			if err := s.short(text); err != nil {
				l.add(path, err.Error(), "")
				return false
			}
			return true
		}
	}
	table, ok := v.(map[string]any)
	if !ok {
		l.add(path, expected("a table with the keys of a server", v).Error(), fmt.Sprintf("write [account.NAME.%s]", p.key))
		return false
	}
	if t.login().TLS == "" {
		t.reset()
	}
	for _, f := range loginFamilies() {
		if f.any(table) {
			l.clearKeys(dst, f.keys)
		}
	}
	problems := len(l.errs)
	for key := range l.table(dst, table, path) {
		good[p.key+"."+key] = true
	}
	return len(l.errs) == problems
}

// checkLogin notes what is wrong with the keys that the section itself sets.
func (l *loader) checkLogin(g *login) {
	l.checkFamilies(loginFamilies(), g.set, g.path, g.Login)
	if g.TLS == TLSNone {
		for _, f := range l.fieldsOf(reflect.TypeFor[Login]()) {
			if strings.HasPrefix(f.name, "tls_") && g.set[f.name] {
				l.add(g.at(f.name), fmt.Sprintf(`%s has no effect with tls = "none"`, f.name), "keep one of them")
			}
		}
	}
	if g.key != "" && g.TrustsFirstUse() && g.set["tls_fingerprint"] {
		l.add(g.at("tls_fingerprint"), `"first-use" is for POP3 servers; name the fingerprint of a destination`, "")
	}
	known := g.methods
	for _, m := range g.Auth {
		if known != nil && !slices.Contains(known, m) {
			l.add(g.at("auth"), fmt.Sprintf("%s is not a method of this destination; the methods are %s", quote(m), orList(known)), "")
		}
	}
	if g.account != "" && g.YieldsToken() && !g.TakesToken() && g.Auth != nil {
		l.add(g.at("auth"), fmt.Sprintf("no method of auth (%s) sends the access token that the account has", strings.Join(g.Auth, ", ")),
			`name "xoauth2" or "oauthbearer", or write auth = "auto"`)
	}
	if g.account != "" && slices.Contains(g.Auth, External) && (g.TLSClientCert == "" || g.TLS == TLSNone) {
		l.add(g.at("auth"), "the method external needs tls_client_cert, and TLS", "")
	}
	if g.account != "" && slices.Contains(g.Auth, NoLogin) && len(g.Tunnel) == 0 && g.Socket == "" {
		l.add(g.at("auth"), `auth = "none" needs a tunnel or a unix socket: anybody could read mail that a server on the network gives without a login`, "")
	}
	if g.account != "" && slices.Contains(g.Auth, NoLogin) && g.TLS == TLSStart {
		l.add(g.at("auth"), `auth = "none" leaves no moment for starttls`, `write tls = "none"`)
	}
	if g.account != "" && g.Socket != "" {
		for _, key := range []string{"proxy", "tunnel", "source_address"} {
			if g.set[key] {
				l.add(g.at(key), key+" has no effect with a unix socket", "keep one of them")
			}
		}
		if g.TLS != TLSNone && g.TLSServerName == "" {
			l.add(g.at("tls"), "TLS over a unix socket needs tls_server_name", `or tls = "none": the socket is on this machine`)
		}
	}
	if g.set["source_address"] && g.set["tunnel"] {
		l.add(g.at("source_address"), "source_address has no effect with tunnel", "keep one of them")
	}
	cert, key := g.TLSClientCert != "", g.TLSClientKey != ""
	switch {
	case g.set["tls_client_cert"] && !key:
		l.add(g.at("tls_client_cert"), "tls_client_cert needs tls_client_key", "both may be the same PEM file")
	case g.set["tls_client_key"] && !cert:
		l.add(g.at("tls_client_key"), "tls_client_key needs tls_client_cert", "both may be the same PEM file")
	}
}

// completeLogin checks the login of an account as a whole, and derives what is not
// written. table has the keys as they are in the file: one that is in it but invalid has
// been noted already.
func (l *loader) completeLogin(g *login, table map[string]any) {
	missing := func(key, hint string) {
		if _, ok := table[key]; !ok {
			_, name := splitPath(g.at(key))
			l.errs = append(l.errs, &Error{File: l.file, Line: l.doc.line(g.path...), Account: g.account, Key: name, Msg: "missing", Hint: hint})
		}
	}
	if g.Server == "" {
		missing("server", fmt.Sprintf("for example server = %q", g.example))
	}
	if g.User == "" && !g.anonymous {
		missing("user", `for example user = "me@example.org"`)
	}
	if c := g.Credential; strings.Contains(c, "/") || c == "." || c == ".." {
		l.add(g.at("credential"), quote(c)+" is not a file name", "write the name that LoadCredential= of the unit gives it")
	}
	l.checkClient(g)
	l.checkServer(g)
	if g.TLS == TLSNone { // the TLS settings of [defaults] are for the other accounts
		l.clearKeys(reflect.ValueOf(g.Login).Elem(), []string{"tls_ca_file", "tls_fingerprint", "tls_server_name", "tls_client_cert", "tls_client_key"})
		g.TLSMinVersion = builtinLogin().TLSMinVersion
	}
}

// fill replaces the placeholder {account} by the name of the account.
func (g *Login) fill(account string) {
	g.PasswordFile = fillAccount(g.PasswordFile, account)
	g.Credential = fillAccount(g.Credential, account)
	g.PasswordCommand = fillArguments(g.PasswordCommand, account)
	g.TokenCommand = fillArguments(g.TokenCommand, account)
	g.ClientSecretCommand = fillArguments(g.ClientSecretCommand, account)
	g.Tunnel = fillArguments(g.Tunnel, account)
}

// warnLogin tells warn what is allowed but probably not intended.
func (g *login) warn(warn func(key, msg, hint string)) {
	near := len(g.Tunnel) > 0 || g.Socket != ""
	if g.TLS == TLSNone && !near && !isLoopback(g.Host) {
		warn("tls", "mail crosses the network in clear text, and with most methods so does the password", `"implicit" or "starttls" protect it`)
	}
	if g.TLS == TLSImplicit && !near && g.Port == g.ports[TLSStart] {
		warn("tls", fmt.Sprintf("servers at port %d begin in clear text", g.Port), `tls = "starttls"?`)
	}
	if g.TLS != TLSImplicit && !near && g.Port == g.ports[TLSImplicit] {
		warn("tls", fmt.Sprintf("servers at port %d begin with TLS", g.Port), `tls = "implicit"?`)
	}
	warnLiteral(warn, "password_command", g.PasswordCommand)
	warnLiteral(warn, "token_command", g.TokenCommand)
	warnLiteral(warn, "client_secret_command", g.ClientSecretCommand)
	warnLiteral(warn, "tunnel", g.Tunnel)
}
