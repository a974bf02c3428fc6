//go:build linux

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popfetch/fetch/pop3/pop3test"
)

func testPostfixTakesAllKinds(t *testing.T, d *dovecot, p *postfix, bin executable) {
	n, user, to := atMost(111, 1000), "kinds@example.org", "all@example.org"
	d.fill(t, user, n)
	held := d.holds(t, user)
	h := newHome(t, bin)
	h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(to)))
	if out, err := h.command("check").CombinedOutput(); err != nil || !strings.Contains(string(out), "SMTP server "+p.SMTP+", for "+to) {
		t.Errorf("check: %v\n%s", err, out)
	}
	h.silently(t)
	h.silently(t)
	got, ids := p.holds(t, to, n)
	sameMail(t, "both runs", got, asSent(held))
	if len(ids) != n {
		t.Errorf("%d messages have %d delivery ids", n, len(ids))
	}
	sameMail(t, "the server afterwards", d.holds(t, user), nil)
	p.logs(t, fmt.Sprintf(`disconnect from .* ehlo=2 starttls=1 mail=%[1]d rcpt=%[1]d data=%[1]d quit=1 `, n))
}

// testPostfixTakesOctets sends what a server may take for the end of a message, or a line, by
// mistake. Bare CR and LF arrive as line ends, everything else as it is.
func testPostfixTakesOctets(t *testing.T, _ *dovecot, p *postfix, bin executable) {
	const to, smuggled = "octets@example.org", "MAIL FROM:<>\r\nRCPT TO:<octets@example.org>\r\nDATA\r\nsmuggled\r\n.\r\n"
	var all strings.Builder
	for c := range 256 {
		all.WriteByte(byte(c))
	}
	bodies := []string{
		"", "\r\n\r\n\r\n", ".\r\n..\r\n...\r\n.text\r\n", "From here\r\n>From there\r\n",
		"\n.\n" + smuggled, "\n.\r\n" + smuggled, "\n.\r" + smuggled, "\r.\n" + smuggled, "\r.\r\n" + smuggled,
		"\r.\r" + smuggled, "\r\n.\n" + smuggled, "\r\n.\r" + smuggled, "\r\n.\r\n" + smuggled, "\r\n\x00.\r\n" + smuggled,
		"\r\r\n\n\r\n", "a lone \r and a lone \n\r\n", "the last line has no end", "a dot at the end\r\n.",
		all.String(), strings.Repeat("\x00", 3000), strings.Repeat("long ", 1<<18) + "\r\n" + strings.Repeat(".", 5000) + "\r\n",
	}
	maildrop, want := pop3test.NewMaildrop(), make(mailbag)
	ends := strings.NewReplacer("\r\n", "\n", "\r", "\n")
	for i, body := range bodies {
		text := fmt.Sprintf("From: a@example.net\r\nBcc: b@example.net\r\nMessage-ID: <%d.octets>\r\n\r\n%s", i, body)
		maildrop.Add(pop3test.Message{UID: fmt.Sprint("uid", i), Raw: []byte(text)})
		text = ends.Replace(text)
		if !strings.HasSuffix(text, "\n") {
			text += "\n"
		}
		want[text]++
	}
	server := &pop3test.Server{Users: map[string]*pop3test.User{"me@example.org": {Password: password, Maildrop: maildrop}}}
	must(t, server.Start())
	defer server.Close()
	h := newHome(t, bin)
	trust := filepath.Join(h.dir, "ca.pem")
	must(t, os.WriteFile(trust, server.CertPEM(), 0o600))
	h.configure(t, fmt.Sprintf("[account.work]\nserver = %q\nuser = \"me@example.org\"\npassword = %q\ntls_ca_file = %q\nkeep = false\n%s\n", server.Addr(), password, trust, p.to(to)))
	h.silently(t)
	got, _ := p.holds(t, to, len(bodies))
	sameMail(t, to, got, want)
	if left := len(maildrop.Messages()); left != 0 {
		t.Errorf("%d messages are left on the server", left)
	}
}

// testPostfixTakesUTF8 sends 8-bit text with a header in UTF-8, to an address in UTF-8, which Postfix
// refuses where the client does not ask for SMTPUTF8.
func testPostfixTakesUTF8(t *testing.T, d *dovecot, p *postfix, bin executable) {
	const user, to = "utf8@example.org", "grün@example.org"
	d.deliver(t, user, "From: Renée <renée@example.net>\nSubject: Grüße\nMessage-ID: <1.utf8>\n\nGr\xfc\xdfe\n")
	held := d.holds(t, user)
	h := newHome(t, bin)
	h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(to)))
	h.once(t, 0, "-vv").says(t, "BODY=8BITMIME", "RCPT TO:<"+to+">")
	got, _ := p.holds(t, to, 1)
	sameMail(t, to, got, held)
	sameMail(t, "the server afterwards", d.holds(t, user), nil)
}

// testPostfixLimitsSize has a message that is larger than Postfix takes among others.
func testPostfixLimitsSize(t *testing.T, d *dovecot, p *postfix, bin executable) {
	const user, to = "size@example.net", "size@example.org"
	large := "From: a@example.net\nMessage-ID: <large>\n\n" + strings.Repeat("all is well\n", 400_000)
	d.deliver(t, user, "From: a@example.net\nMessage-ID: <1.small>\n\nbody\n", large, "From: a@example.net\nMessage-ID: <2.small>\n\nbody\n")
	held := d.holds(t, user)
	h := newHome(t, bin)
	h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(to)))
	sent := 0
	p.ask(func(state, _ string) string {
		if state == endOfMessage {
			sent++
		}
		return ""
	})
	h.once(t, 73).says(t, "the server takes 4194304 at most")
	p.ask(nil)
	if sent != 2 {
		t.Errorf("%d messages were sent, want the 2 small ones", sent)
	}
	sameMail(t, "the server afterwards", d.holds(t, user), mailbag{large: 1})
	delete(held, large)
	got, _ := p.holds(t, to, 2)
	sameMail(t, to, got, held)
}
