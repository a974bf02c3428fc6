// Package discovery finds the POP3 server of a mail address: in the table of providers,
// in what the domain publishes by DNS and HTTPS, in Thunderbird's database of providers,
// and at last by the usual names. It never sends a password.
package discovery

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"popfetch/internal/provider"
)

// Server is a POP3 server for an address.
type Server struct {
	Host     string
	Port     int
	StartTLS bool   // TLS begins with STLS (RFC 2595); otherwise at once (RFC 8314)
	User     string // as the source has it
	Source   string // who names it, in words
	// Doubtful: only DNS names the server, which anybody on the way can forge, and it is
	// outside of the domain. RFC 6186 section 6: ask the user before a password goes there.
	Doubtful  bool
	TokenOnly bool // the source says that it takes access tokens and no password
}

// Address is host:port.
func (s Server) Address() string { return net.JoinHostPort(s.Host, strconv.Itoa(s.Port)) }

func (s Server) String() string {
	if s.StartTLS {
		return s.Address() + " (STLS)"
	}
	return s.Address()
}

// Resolver asks DNS. *net.Resolver is one.
type Resolver interface {
	LookupSRV(ctx context.Context, service, proto, name string) (string, []*net.SRV, error)
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
}

var _ Resolver = (*net.Resolver)(nil)

// Finder finds servers.
type Finder struct {
	Resolver Resolver
	Web      http.RoundTripper // for HTTPS; nil = http.DefaultTransport
	// Probe connects to a server, with TLS that is verified, and awaits the greeting. It may
	// be called by several goroutines at once.
	Probe func(context.Context, Server) error
	// Say is told each step in words: what was asked, and what came of it.
	Say        func(what, result string)
	NoDatabase bool          // do not ask Thunderbird's database
	Wait       time.Duration // for each answer; 0 = 6 s
}

func (f *Finder) wait() time.Duration {
	if f.Wait > 0 {
		return f.Wait
	}
	return 6 * time.Second
}

// Find returns the server for an address. The error is a *NoPOP3Error, a *NotFoundError,
// an *UnreachableError, or that of a ctx that has ended.
func (f *Finder) Find(ctx context.Context, a Address) (Server, error) {
	if p := provider.ByDomain(a.Domain); p != nil && p.NoPOP3 {
		return Server{}, &NoPOP3Error{Domain: a.Domain, Why: p.Advice}
	} else if p != nil && p.Server != "" {
		s := ofProvider(p, a, "popfetch's table of providers")
		f.Say(s.Source, fmt.Sprintf("%s: %s", p.Name, s))
		if found, _, ok := f.probe(ctx, []Server{s}); ok {
			return found, nil
		}
	}
	answers := f.ask(ctx, a)
	if ctx.Err() != nil {
		return Server{}, context.Cause(ctx)
	}
	var named []Server
	var refusal *NoPOP3Error
	trouble, imapOnly := 0, false
	for _, answer := range answers {
		f.Say(answer.what, answer.String())
		named = append(named, answer.servers...)
		if answer.refusal != "" && refusal == nil {
			refusal = &NoPOP3Error{Domain: a.Domain, Why: answer.refusal}
		}
		if answer.dns && answer.err != nil {
			trouble++
		}
		imapOnly = imapOnly || answer.imapOnly
	}
	doubtful := slices.Clone(named)
	doubtful = slices.DeleteFunc(doubtful, func(s Server) bool { return !s.Doubtful })
	named = append(slices.DeleteFunc(named, func(s Server) bool { return s.Doubtful }), doubtful...)
	if found, why, ok := f.probe(ctx, named); ok {
		return found, nil
	} else if ctx.Err() != nil {
		return Server{}, context.Cause(ctx)
	} else if len(named) > 0 {
		return Server{}, &UnreachableError{Server: named[0], Err: why}
	}
	if refusal != nil {
		return Server{}, refusal
	}
	found, _, ok := f.probe(ctx, usual(a))
	switch {
	case ok:
		return found, nil
	case ctx.Err() != nil:
		return Server{}, context.Cause(ctx)
	}
	return Server{}, &NotFoundError{Domain: a.Domain, NoDNS: trouble == dnsQuestions, IMAPOnly: imapOnly}
}

// ofProvider is the server of a provider whose Server is known.
func ofProvider(p *provider.Provider, a Address, source string) Server {
	s := Server{Host: p.Server, Port: 995, User: a.String(), Source: source, TokenOnly: p.OAuth != ""}
	if p.LocalPart {
		s.User = a.Local
	}
	return s
}

// usual returns the servers that an address has where nobody names one.
func usual(a Address) (list []Server) {
	for _, startTLS := range []bool{false, true} {
		for _, prefix := range []string{"pop.", "pop3.", "mail.", ""} {
			s := Server{Host: prefix + a.Domain, Port: 995, User: a.String(), Source: "a usual name"}
			if startTLS {
				s.Port, s.StartTLS = 110, true
			}
			list = append(list, s)
		}
	}
	return list
}

// probe returns the first of the servers that answers, or why the first one does not. All
// are tried at once; the result does not wait for those behind the first that answers.
func (f *Finder) probe(ctx context.Context, servers []Server) (found Server, why error, ok bool) {
	servers = distinct(servers)
	ctx, cancel := context.WithTimeout(ctx, f.wait())
	defer cancel()
	outcomes := make([]chan error, len(servers))
	for i, s := range servers {
		outcomes[i] = make(chan error, 1)
		go func() { outcomes[i] <- f.Probe(ctx, s) }()
	}
	for i, s := range servers {
		err := <-outcomes[i]
		if err == nil {
			f.Say(s.String(), "answers")
			return s, nil, true
		}
		if ctx.Err() == nil || why == nil {
			f.Say(s.String(), err.Error())
		}
		if why == nil {
			why = err
		}
	}
	return Server{}, why, false
}

// mostProbed bounds what a domain can make popfetch connect to.
const mostProbed = 12

// distinct returns the servers without repetitions, in their order.
func distinct(servers []Server) (list []Server) {
	for _, s := range servers {
		same := func(other Server) bool { return other.Address() == s.Address() && other.StartTLS == s.StartTLS }
		if !slices.ContainsFunc(list, same) && len(list) < mostProbed {
			list = append(list, s)
		}
	}
	return list
}

// answer is what one source says.
type answer struct {
	what     string // the source
	servers  []Server
	refusal  string // why there is no POP3, "" = the source does not say that
	imapOnly bool   // the source names servers, but none for POP3 with TLS
	dns      bool   // the question went to DNS alone
	err      error  // the source could not be asked
}

func (r answer) String() string {
	var names []string
	for _, s := range r.servers {
		names = append(names, s.String())
	}
	switch {
	case r.err != nil:
		return r.err.Error()
	case r.refusal != "":
		return r.refusal
	case len(names) > 0:
		return strings.Join(names, ", ")
	case r.imapOnly:
		return "servers, but none for POP3 with TLS"
	}
	return "nothing"
}

// ask asks all sources at once, and returns their answers, the best first.
func (f *Finder) ask(ctx context.Context, a Address) []answer {
	ctx, cancel := context.WithTimeout(ctx, f.wait())
	defer cancel()
	questions := []func(context.Context, Address) answer{f.autoconfig, f.wellKnown, f.srv, f.database, f.mx}
	answers := make([]answer, len(questions))
	var all sync.WaitGroup
	for i, question := range questions {
		all.Go(func() { answers[i] = question(ctx, a) })
	}
	all.Wait()
	return slices.DeleteFunc(answers, func(r answer) bool { return r.what == "" })
}
