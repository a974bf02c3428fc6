package provider

import (
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDomainsAndHostsOfProviders(t *testing.T) {
	for domain, name := range map[string]string{
		"gmail.com": "Gmail", "hotmail.co.uk": "Outlook.com", "contoso.onmicrosoft.com": "Microsoft 365", "icloud.com": "iCloud", "example.org": "", "notgmail.com": "",
	} {
		if got := ByDomain(domain); (got == nil) != (name == "") || got != nil && got.Name != name {
			t.Errorf("%s: %+v", domain, got)
		}
	}
	for host, name := range map[string]string{
		"ASPMX.L.GOOGLE.COM.": "Gmail", "alt1.aspmx.l.google.com": "Gmail", "example-org.mail.protection.outlook.com": "Microsoft 365",
		"eur.olc.protection.outlook.com": "Outlook.com", "outlook.office365.com": "Microsoft 365", "pop.gmx.net": "GMX", "mx00.gmx.net": "GMX",
		"in1-smtp.messagingengine.com": "Fastmail", "mx.yandex.net": "Yandex", "mx.example.org": "",
	} {
		if got := ByHost(host); (got == nil) != (name == "") || got != nil && got.Name != name {
			t.Errorf("%s: %+v", host, got)
		}
	}
}

// Nobody is sent to a server that no source names, and a domain has one provider.
func TestTableIsConsistent(t *testing.T) {
	seen := make(map[string]string)
	for _, p := range providers() {
		if p.Checked != "" {
			if _, err := time.Parse(time.DateOnly, p.Checked); err != nil || p.Source == "" {
				t.Errorf("%s: checked %q at %q", p.Name, p.Checked, p.Source)
			}
		}
		if (p.Server != "" || p.NoPOP3) && p.Checked == "" {
			t.Errorf("%s: no source for its server", p.Name)
		}
		if p.NoPOP3 && (p.Server != "" || p.Advice == "") || p.Server == "" && !p.NoPOP3 && p.Advice == "" {
			t.Errorf("%s says nothing: %+v", p.Name, p)
		}
		if strings.HasSuffix(p.Advice, ".") {
			t.Errorf("%s: the advice ends with a full stop", p.Name)
		}
		for _, domain := range p.Domains {
			if seen[domain] != "" || domain != strings.ToLower(domain) {
				t.Errorf("%s belongs to %s and %s", domain, seen[domain], p.Name)
			}
			seen[domain] = p.Name
		}
		if p.Server != "" && !slices.Contains([]string{"Microsoft 365", p.Name}, ByHost(p.Server).Name) {
			t.Errorf("%s: its server %s belongs to %s", p.Name, p.Server, ByHost(p.Server).Name)
		}
	}
}
