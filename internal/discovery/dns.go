package discovery

import (
	"cmp"
	"context"
	"errors"
	"net"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"

	"popfetch/internal/provider"
)

// dnsQuestions is how many answers of ask are from DNS alone.
const dnsQuestions = 2

// notFound reports whether DNS has said that there is no such record.
func notFound(err error) bool {
	var e *net.DNSError
	return errors.As(err, &e) && e.IsNotFound
}

// srv asks DNS for the services of the domain, RFC 6186 section 3.3. The dot behind it
// keeps the search list of the system out.
func (f *Finder) srv(ctx context.Context, a Address) answer {
	r := answer{what: "DNS SRV records of " + a.Domain, dns: true}
	type record struct {
		*net.SRV
		startTLS bool
	}
	var records []record
	refused, failures := 0, []error(nil)
	for _, service := range []struct {
		name     string
		startTLS bool
	}{{"pop3s", false}, {"pop3", true}} {
		_, list, err := f.Resolver.LookupSRV(ctx, service.name, "tcp", a.Domain+".")
		if err != nil && !notFound(err) && len(list) == 0 {
			failures = append(failures, err)
		}
		for _, s := range list { // by priority, and within it at random by weight
			if s.Target == "." { // RFC 6186 section 3.4
				refused++
				continue
			}
			records = append(records, record{s, service.startTLS})
		}
	}
	slices.SortStableFunc(records, func(x, y record) int { return cmp.Compare(x.Priority, y.Priority) })
	for _, s := range records {
		host := strings.ToLower(strings.TrimSuffix(s.Target, "."))
		within := host == a.Domain || strings.HasSuffix(host, "."+a.Domain)
		r.servers = append(r.servers, Server{
			Host: host, Port: int(s.Port), StartTLS: s.startTLS, User: a.String(), Source: "the SRV record of " + a.Domain,
			Doubtful: !within && provider.ByHost(host) == nil,
		})
	}
	switch {
	case len(r.servers) > 0:
	case len(failures) > 0:
		r.err = failures[0]
	case refused > 0:
		r.refusal = "the domain says in DNS that it has no POP3 (RFC 6186)"
	}
	return r
}

// mx asks DNS who receives the mail of the domain, and the table and the database for
// the server of that provider. Who forges the answer can send the user to a provider that
// these know, and to no other.
func (f *Finder) mx(ctx context.Context, a Address) answer {
	r := answer{what: "DNS MX record of " + a.Domain, dns: true}
	list, err := f.Resolver.LookupMX(ctx, a.Domain+".")
	if len(list) == 0 || list[0].Host == "." {
		if err != nil && !notFound(err) {
			r.err = err
		}
		return r
	}
	host := strings.ToLower(strings.TrimSuffix(list[0].Host, "."))
	r.what += ", " + host
	if p := provider.ByHost(host); p != nil {
		switch {
		case p.NoPOP3:
			r.refusal = p.Advice
			return r
		case p.Server != "":
			s := ofProvider(p, a, "popfetch's table, for "+host+",")
			s.User = a.String() // it is of another domain
			r.servers = []Server{s}
			return r
		}
	}
	base, err := publicsuffix.EffectiveTLDPlusOne(host)
	if err == nil && base != a.Domain && !f.NoDatabase {
		there := f.fromDatabase(ctx, base, a)
		r.what += "; " + there.what
		r.servers = there.servers
	}
	return r
}
