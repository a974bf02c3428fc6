package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strconv"
	"strings"
	"time"

	"popfetch/fetch"
	"popfetch/fetch/pop3"
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
	switch {
	case errors.As(err, new(*discovery.NoPOP3Error)):
		return found, &fetch.ConfigError{Err: err}
	case errors.As(err, new(*discovery.NotFoundError)):
		var none *discovery.NotFoundError
		if errors.As(err, &none); none.NoDNS {
			return found, err
		}
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
		ctx, cancel := context.WithTimeout(ctx, probeWait)
		greeting, err := s.probe(ctx, server)
		cancel()
		if err == nil {
			if !s.con.quiet {
				s.con.say("%s: answers: %s", server, printable(greeting))
			}
			return server, nil
		}
		if first == nil {
			first = err
		}
	}
	return discovery.Server{}, first
}

// mostOfGreeting is how much of a greeting is shown, in octets.
const mostOfGreeting = 60

// probe connects to a server, with TLS unless --tls none says otherwise, and says goodbye.
func (s *setup) probe(ctx context.Context, server discovery.Server) (greeting string, err error) {
	mode := tlsMode(server, s.flags.tls)
	host, err := asciiHost(server.Host)
	if err != nil {
		return "", err
	}
	dial, err := dialer(&config.Login{Host: host, Port: server.Port}, s.con.log, nil)
	if err != nil {
		return "", err
	}
	client, err := pop3.Dial(ctx, "tcp", net.JoinHostPort(host, strconv.Itoa(server.Port)), &pop3.Options{Security: security(mode), Timeout: probeWait, Log: s.con.log, Dial: dial})
	if err != nil {
		return "", &connectError{tls: mode, port: server.Port, err: err}
	}
	defer client.Close()
	greeting = client.Greeting()
	client.Quit()
	if len(greeting) > mostOfGreeting {
		greeting = strings.ToValidUTF8(greeting[:mostOfGreeting], "") + "..."
	}
	return greeting, nil
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
