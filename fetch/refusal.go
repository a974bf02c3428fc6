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
		// Another session holds the maildrop.
		"unable to lock",        // RFC 1939 section 7 (PASS): "unable to lock maildrop"; solid-pop3d, MailEnable
		"already locked",        // RFC 1939 section 7 (USER, PASS): "maildrop already locked"; hMailServer: "Your mailbox is already locked"
		"lock busy",             // UCB popper, Qpopper: "Maildrop lock busy!  Is another session active?"
		"cannot access mailbox", // mpopd of mpop, for a mailbox that it cannot lock
		"is locked",             // Dovecot: "Mailbox is locked by another process", Cyrus and others
		"cannot lock",           // small servers: "Cannot lock mailbox"
		"can't get lock",        // teapop: "Can't get lock. Mailbox in use"
		"mailbox in use",        // teapop, GNU Mailutils
		"already in use",        // Dovecot and Courier before their [IN-USE]: "mailbox already in use"
		"duplicate login",       // sina.com, exmail.qq.com
		// Too many connections or logins.
		"too many connections",                // proxies and small servers
		"too many simultaneous connections",   // Gmail
		"too many concurrent",                 // Exchange: "too many concurrent connections"
		"maximum number of connections",       // Dovecot: mail_max_userip_connections
		"maximum connection limit",            // Courier: MAXDAEMONS, MAXPERIP
		"login frequency limited",             // 163.com, QQ
		"exceeded the login limit",            // Outlook.com: "Exceeded the login limit for a 15 minute period"
		"login allowed only every 15 minutes", // Hotmail with POP3
		"try again in 15 minutes",             // the same
		"login too often",                     // web.de, freenet: "you login too often"
		// The server has trouble.
		"temporary authentication failure", // Dovecot before its [SYS/TEMP]
		"temporary system problem",         // Gmail
		"server busy",                      // Exchange
		"server unavailable",               // Exchange: "Server Unavailable. 21"
		"please try later",                 // Gordano: "Busy - please try later"
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
