package fetch

import (
	"slices"
	"strings"

	"popfetch/fetch/pop3"
)

// busyPhrases returns, in lower case, what servers without response codes say when
// they refuse a login because of the moment. It is the only text that popfetch
// classifies errors by, and only a refused login without a code: such a refusal is
// about the password unless it has one of these phrases.
func busyPhrases() []string {
	return []string{
		// Another session holds the maildrop. An account that is locked is another thing.
		"unable to lock maildrop",   // RFC 1939 section 7 (PASS); solid-pop3d
		"maildrop already locked",   // RFC 1939 section 7 (USER, PASS: the examples)
		"maildrop lock busy",        // UCB popper and Qpopper: "Maildrop lock busy!  Is another session active?"
		"mailbox is locked",         // Dovecot: "Mailbox is locked by another process"
		"mailbox is already locked", // hMailServer: "Your mailbox is already locked"
		"mailbox already in use",    // perdition issue 4
		"mailbox locked",            // Apache James
		"cannot lock mailbox",       // small servers
		"cannot access mailbox",     // mpopd, for a mailbox that it cannot lock
		"duplicate login",           // sina.com and exmail.qq.com: zmail issue 85
		// Too many connections or logins.
		"too many connections",                // proxies; BlueMail's list of POP3 errors
		"too many simultaneous connections",   // Gmail: libetpan pull request 160
		"too many concurrent",                 // small servers: "too many concurrent connections"
		"maximum number of connections",       // Dovecot: mail_max_userip_connections
		"login frequency limited",             // 163.com and QQ
		"exceeded the login limit",            // Outlook.com: "Exceeded the login limit for a 15 minute period"; ERPNext knows it
		"login allowed only every 15 minutes", // Hotmail; JavaMail and others know it
		"try again in 15 minutes",             // the same, later
		// The server has trouble.
		"temporary authentication failure", // Dovecot
		"temporary system problem",         // Gmail; ERPNext knows it
		"server unavailable",               // Exchange: "Server Unavailable. 21"
		"busy - please try later",          // Gordano Messaging Suite: its alert 8201
	}
}

// passwordPhrases returns, in lower case, what makes a refusal one about the password
// whatever else it says: QQ sends one text for all its reasons, "password is
// incorrect, login frequency limited, or system is busy", and a server that has seen
// too many wrong passwords wants no further ones soon.
func passwordPhrases() []string {
	return []string{"password", "passwd", "credential", "invalid", "incorrect"}
}

// busy reports whether a refusal of the login without a response code is about the
// moment.
func busy(refused *pop3.ResponseError) bool {
	text := strings.ToLower(refused.Text)
	has := func(phrase string) bool { return strings.Contains(text, phrase) }
	return refused.Code == "" && slices.ContainsFunc(busyPhrases(), has) && !slices.ContainsFunc(passwordPhrases(), has)
}
