package cli

import (
	"slices"
	"strings"
)

// provider is what one provider wants of its users before POP3 works.
type provider struct {
	hosts  []string // ends of the host names of its POP3 servers
	advice string
}

// providers returns what is known of large providers that refuse a right password.
func providers() []provider {
	const microsoft = "Microsoft takes no password for POP3 any more: use an OAuth 2.0 token (token_command), and switch POP on in the settings of Outlook (Mail > Forwarding and IMAP)"
	return []provider{
		{[]string{"gmail.com", "googlemail.com"}, "Gmail needs POP switched on (Settings > Forwarding and POP/IMAP), and an app password (Google Account > Security) in place of the usual one"},
		{[]string{"gmx.net", "gmx.com", "gmx.de", "gmx.at", "gmx.ch"}, "GMX needs POP3 switched on (E-Mail > Settings > POP3/IMAP), and with two-factor authentication an app-specific password"},
		{[]string{"web.de"}, "WEB.DE needs POP3 switched on (E-Mail > Einstellungen > POP3/IMAP Abruf), and with two-factor authentication an app-specific password"},
		{[]string{"outlook.com", "office365.com", "live.com", "hotmail.com"}, microsoft},
		{[]string{"yahoo.com", "yahoo.co.jp", "aol.com", "att.net"}, "Yahoo and AOL need an app password (Account Security > Generate app password) in place of the usual one"},
		{[]string{"me.com", "icloud.com"}, "iCloud has no POP3, only IMAP"},
		{[]string{"qq.com", "163.com", "126.com", "sina.com"}, "this provider needs POP3 switched on in the settings of the mailbox, and takes the authorization code that it shows there in place of the password"},
		{[]string{"t-online.de"}, "T-Online needs its own password for e-mail programs (E-Mail Center > Einstellungen > Passwort für E-Mail-Programme)"},
		{[]string{"yandex.ru", "yandex.com", "mail.ru"}, "this provider needs POP3 switched on in the settings of the mailbox, and an app password"},
		{[]string{"fastmail.com"}, "Fastmail needs an app password (Settings > Privacy & Security)"},
	}
}

// adviceOf returns what the provider of a POP3 server wants of its users, "" if that is
// not known.
func adviceOf(host string) string {
	for _, p := range providers() {
		if slices.ContainsFunc(p.hosts, func(end string) bool { return host == end || strings.HasSuffix(host, "."+end) }) {
			return p.advice
		}
	}
	return ""
}

// adviceFor returns what the text of a refused login asks the user to do, "" for
// nothing that is known. Servers of organisations have any host name.
func adviceFor(text string) string {
	text = strings.ToLower(text)
	const switchOn = "switch POP3 on in the settings of the mailbox, or ask the server's operator; the password may be right"
	for _, known := range []struct{ phrase, advice string }{
		{"basic authentication is disabled", adviceOf("outlook.com")},                                                                // Exchange Online: listmonk issue 3192
		{"not enabled for pop", "switch POP on in the settings of the mailbox; the password may be right"},                           // Gmail
		{"application-specific password", "use an app password in place of the usual one"},                                           // Gmail
		{"web login required", "log in with a web browser once and follow what the provider shows there; the password may be right"}, // Gmail
		{"pop3 is disabled", switchOn},
		{"pop3 access", switchOn},
		{"pop access", switchOn},
	} {
		if strings.Contains(text, known.phrase) {
			return known.advice
		}
	}
	return ""
}
