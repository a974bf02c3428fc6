package config

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
)

// readServer takes apart a server that is more than host and port: the path of a unix
// socket, or the URL of a POP3 server. Both say what tls is if the account does not.
func (l *loader) readServer(g *login) {
	if path, ok := strings.CutPrefix(g.Server, "unix:"); ok {
		path, err := socketPath(path, l.dir)
		if err != nil {
			l.add(g.at("server"), err.Error(), "")
			return
		}
		g.Socket, g.Host, g.Port = path, "unix:"+path, 0
		if !g.set["tls"] {
			g.TLS = TLSNone
		}
		return
	}
	scheme, rest, ok := strings.Cut(g.Server, "://")
	scheme = strings.ToLower(scheme)
	if !ok || g.key != "" || !slices.Contains([]string{"pop", "pops", "pop3", "pop3s"}, scheme) {
		return
	}
	if err := l.popURL(g, strings.HasSuffix(scheme, "s"), strings.TrimSuffix(rest, "/")); err != nil {
		l.add(g.at("server"), err.Error(), "")
		g.Server = ""
	}
}

// socketPath expands the path of a unix socket.
func socketPath(path, dir string) (string, error) {
	path, err := expandPath(path, dir)
	if err == nil && len(path) > 107 { // unix(7), sun_path
		err = fmt.Errorf("the path of the socket is longer than 107 octets")
	}
	return path, err
}

// popURL reads what follows the scheme of a POP URL: user;AUTH=method@host:port, of which
// all but the host may be missing (RFC 2384). An error does not repeat what may be a
// password.
func (l *loader) popURL(g *login, secure bool, rest string) error {
	at := strings.LastIndexByte(rest, '@')
	host := rest[at+1:]
	if host == "" || strings.ContainsAny(host, "/?#;") {
		return fmt.Errorf("a POP URL is pop://user;AUTH=method@host:port, of which all but the host may be left out")
	}
	switch {
	case secure && g.set["tls"] && g.TLS != TLSImplicit:
		return fmt.Errorf("a pops URL means tls = %q, and the key tls says %q; keep one of them", TLSImplicit, g.TLS)
	case secure:
		g.TLS = TLSImplicit
	case !g.set["tls"]:
		g.TLS = TLSStart // RFC 2384 has clear text, which nobody gets without asking for it by name
	}
	g.Server = host
	if at < 0 {
		return nil
	}
	who := rest[:at]
	if strings.Contains(who, ":") {
		return fmt.Errorf("the URL contains a password; keep it elsewhere: password_command, password_file, keyring or credential")
	}
	name, method := who, ""
	if i := strings.Index(strings.ToUpper(who), ";AUTH="); i >= 0 {
		name, method = who[:i], who[i+len(";AUTH="):]
	}
	if err := l.userOfURL(g, name); err != nil {
		return err
	}
	return l.methodOfURL(g, method)
}

func (l *loader) userOfURL(g *login, name string) error {
	user, err := url.PathUnescape(name)
	switch {
	case name == "":
		return nil
	case err != nil || strings.Contains(name, ";"):
		return fmt.Errorf("the user in the URL is not written as a URL demands: a %% is %%25, a ; is %%3B")
	case g.set["user"]:
		return fmt.Errorf("both the URL and the key user name the user; keep one of them")
	}
	if err := checkControl("the user in the URL", user); err != nil {
		return err
	}
	if err := checkVisible(user); err != nil {
		return err
	}
	g.User, g.set["user"] = user, true
	return nil
}

// methodOfURL reads the part AUTH: "*" is any method, and "+APOP" the one that is not a
// SASL mechanism.
func (l *loader) methodOfURL(g *login, method string) error {
	if method == "" {
		return nil
	}
	if g.set["auth"] {
		return fmt.Errorf("both the URL and the key auth name the method; keep one of them")
	}
	name, err := url.PathUnescape(method)
	if err != nil {
		return fmt.Errorf("AUTH in the URL is not written as a URL demands")
	}
	if name = strings.ToLower(strings.TrimPrefix(name, "+")); name == "*" {
		name = "auto"
	}
	if g.Auth, err = l.methods(name); err != nil {
		return fmt.Errorf("AUTH in the URL: %w", err)
	}
	g.set["auth"] = true
	return nil
}
