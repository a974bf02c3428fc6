// Package provider knows what large mail providers demand of a POP3 client: the server,
// the user name, and what a user has to do first. It is a table with sources and asks
// nobody.
package provider

import (
	"slices"
	"strings"
)

// Provider is one mail provider.
type Provider struct {
	Name    string
	Domains []string // of addresses; names below them belong to it too
	Hosts   []string // ends of the names of its POP3 and MX servers, unless they end with one of Domains

	NoPOP3    bool   // it has no POP3 server
	Server    string // reached with TLS at port 995; "" = not known
	LocalPart bool   // the user is the part of the address before the @, not the whole address
	OAuth     string // the value of the key oauth if it takes access tokens and no password
	Interval  string // the value of the key interval if it refuses logins that follow faster

	Advice  string // what the user has to know or do, a sentence without a full stop
	Source  string // where Server and Advice were read
	Checked string // when, YYYY-MM-DD
}

// ByDomain returns the provider of the addresses of a domain, nil if it is not known.
// The domain is in lower case.
func ByDomain(domain string) *Provider {
	return find(domain, func(p *Provider) []string { return p.Domains })
}

// ByHost returns the provider that runs a POP3 or MX server, nil if it is not known.
func ByHost(host string) *Provider {
	host = strings.TrimSuffix(strings.ToLower(host), ".")
	return find(host, func(p *Provider) []string { return slices.Concat(p.Hosts, p.Domains) })
}

// find returns the provider of the longest end of name.
func find(name string, ends func(*Provider) []string) (found *Provider) {
	longest := 0
	for _, p := range providers() {
		for _, end := range ends(p) {
			if len(end) > longest && (name == end || strings.HasSuffix(name, "."+end)) {
				found, longest = p, len(end)
			}
		}
	}
	return found
}
