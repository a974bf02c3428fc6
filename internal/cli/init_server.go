package cli

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/discovery"
)

// probeWait is how long a server has to answer while init looks for it.
const probeWait = 7 * time.Second

// server finds the server of the address, or tries the one that the user has named.
func (s *setup) server(ctx context.Context) (discovery.Server, error) {
	web := s.web
	if web == nil {
		web = webTransport(&config.Login{})
	}
	finder := &discovery.Finder{
		Resolver: s.resolver, Web: web, NoDatabase: s.flags.noDatabase, Wait: probeWait,
		Probe: s.probe,
		Say: func(what, result string) {
			if !s.con.quiet {
				s.con.say("%s: %s", printable(what), printable(result))
			}
		},
	}
	if s.flags.server != "" {
		return s.named(ctx)
	}
	found, err := finder.Find(ctx, s.address)
	var unreachable *discovery.UnreachableError
	var none *discovery.NotFoundError
	switch {
	case errors.As(err, &unreachable) && !unreachable.Server.Doubtful:
		return unreachable.Server, s.trust(ctx, unreachable.Server, err)
	case errors.As(err, new(*discovery.NoPOP3Error)), errors.As(err, &none) && !none.NoDNS:
		return found, &fetch.ConfigError{Err: err}
	case err != nil || !found.Doubtful:
		return found, err
	}
	doubt := fmt.Sprintf("only DNS names %s for %s, and the server is outside of that domain: an answer of DNS can be forged", found.Host, s.address.Domain)
	if s.ask.attended() {
		s.con.say("%s", doubt)
		yes, err := s.ask.agrees(ctx, "Is "+found.Host+" the server of your provider?", "no")
		if err != nil || yes {
			return found, err
		}
	}
	return found, &fetch.ConfigError{Err: fmt.Errorf("%s; if it is right, name it: --server %s", doubt, found.Address())}
}

// named tries the server of --server, with TLS as the flag, the port or the server has it.
func (s *setup) named(ctx context.Context) (discovery.Server, error) {
	host, port := s.flags.server, 0
	if h, p, err := net.SplitHostPort(host); err == nil {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return discovery.Server{}, &usage{fmt.Sprintf("init: --server %q: the port is not a number from 1 to 65535", s.flags.server)}
		}
		host, port = h, int(n)
	}
	base := discovery.Server{Host: strings.ToLower(strings.Trim(host, "[]")), Port: port, User: s.address.String(), Source: "--server"}
	implicit, start := base, base
	start.StartTLS = true
	if port == 0 {
		implicit.Port, start.Port = 995, 110
	}
	var tries []discovery.Server
	switch {
	case s.flags.tls == string(config.TLSImplicit), s.flags.tls == "" && port == 995:
		tries = []discovery.Server{implicit}
	case s.flags.tls != "", port == 110:
		tries = []discovery.Server{start}
	default:
		tries = []discovery.Server{implicit, start}
	}
	var first error
	for _, server := range tries {
		probing, cancel := context.WithTimeout(ctx, probeWait)
		err := s.probe(probing, server)
		cancel()
		if errors.As(err, new(*tls.CertificateVerificationError)) { // it would be the same with STLS
			if err = s.trust(ctx, server, err); err != nil {
				return discovery.Server{}, err
			}
		}
		if err == nil {
			if !s.con.quiet {
				s.con.say("%s: answers", s.reached(server))
			}
			return server, nil
		}
		if first == nil {
			first = err
		}
	}
	return discovery.Server{}, first
}

// reached is a server of --server in words.
func (s *setup) reached(server discovery.Server) string {
	if tlsMode(server, s.flags.tls) == config.TLSNone {
		return server.Address() + " (no TLS)"
	}
	return server.String()
}

// tlsMode returns the value of the key tls for a server.
func tlsMode(s discovery.Server, flag string) config.TLSMode {
	switch {
	case flag == string(config.TLSNone):
		return config.TLSNone
	case s.StartTLS:
		return config.TLSStart
	}
	return config.TLSImplicit
}

// discoveryHint says what to do about an address whose server was not found.
func discoveryHint(err error) string {
	var none *discovery.NotFoundError
	switch {
	case errors.As(err, new(*discovery.NoPOP3Error)):
		return "popfetch speaks POP3 alone: forward the mail to an address with POP3, or fetch it with a program for IMAP, such as isync"
	case errors.As(err, &none) && !none.NoDNS:
		return "if you know its name: popfetch init ADDRESS --server HOST; the provider tells it in its help on e-mail programs"
	}
	return ""
}
