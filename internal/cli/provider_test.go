package cli

import (
	"strings"
	"testing"

	"popfetch/fetch/pop3"
)

func TestHintNamesWhatTheProviderWants(t *testing.T) {
	for _, x := range []struct {
		host string
		code pop3.Code
		text string
		want string
	}{
		{"pop.gmail.com", pop3.AuthCode, "[AUTH] Username and password not accepted.", "Forwarding and POP/IMAP"},
		{"pop.gmail.com", pop3.SysPerm, "[SYS/PERM] Your account is not enabled for POP access. Please visit your Gmail settings page", "switch POP on"},
		{"pop.gmail.com", pop3.AuthCode, "[AUTH] Application-specific password required", "app password"},
		{"pop.gmx.net", "", "authentication failed", "GMX needs POP3 switched on"},
		{"pop3.web.de", "", "***", "WEB.DE needs POP3 switched on"},
		{"outlook.office365.com", "", "Logon failure: unknown user name or bad password.", "OAuth 2.0 token"},
		{"mail.example.org", "", "Basic authentication is disabled.", "OAuth 2.0 token"},
		{"pop.mail.yahoo.com", pop3.AuthCode, "[AUTH] (#MBR1212) Incorrect username or password.", "app password"},
		{"pop.aol.com", "", "no", "app password"},
		{"pop.mail.me.com", "", "no", "only IMAP"},
		{"mail.example.org", "", "no", "check user and password"},
		{"notgmail.com", "", "no", "check user and password"},
		{"pop.gmail.com", pop3.InUse, "[IN-USE] no", "another program has this maildrop open"},
		{"pop.gmail.com", pop3.SysTemp, "[SYS/TEMP] Temporary system problem.", "temporary failure"},
		{"pop.gmail.com", "", "too many simultaneous connections", "the server is busy"},
	} {
		err := &loginError{x.host, &pop3.AuthError{Err: &pop3.ResponseError{Command: "PASS", Code: x.code, Text: x.text}}}
		if got := hint(err, false); !strings.Contains(got, x.want) {
			t.Errorf("%s, %q: %q, want %q", x.host, x.text, got, x.want)
		}
	}
}
