package cli

import (
	"strings"

	"popfetch/internal/provider"
)

// adviceOf returns what the provider of a POP3 server wants of its users, "" if that is
// not known.
func adviceOf(host string) string {
	if p := provider.ByHost(host); p != nil {
		return p.Advice
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
