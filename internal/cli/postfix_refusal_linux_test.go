//go:build linux

package cli_test

import (
	"fmt"
	"strings"
	"testing"
)

// One of two recipients gets each message, once, though the other is refused each time.
func testPostfixRefusesRecipient(t *testing.T, d *dovecot, p *postfix, bin executable) {
	const n, user, to, nobody = 3, "refuses@example.org", "half@example.org", "nobody@example.org"
	d.fill(t, user, n)
	held := d.holds(t, user)
	h := newHome(t, bin)
	h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(nobody)))
	if out, err := h.command("check").CombinedOutput(); err == nil || !strings.Contains(string(out), nobody) {
		t.Errorf("check: %v\n%s", err, out)
	}
	h.once(t, 73).says(t, "RCPT TO:<"+nobody+">", "550", "5.1.1")
	sameMail(t, "the server after a refusal", d.holds(t, user), held)

	h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(to, nobody)))
	h.once(t, 73).says(t, nobody)
	h.once(t, 73)
	sameMail(t, "the server after another refusal", d.holds(t, user), held)
	h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(to)))
	h.once(t, 0)
	got, _ := p.holds(t, to, n)
	sameMail(t, to, got, asSent(held))
	sameMail(t, "the server afterwards", d.holds(t, user), nil)
}

// testPostfixDefersRecipient has Postfix say "later" about one of two recipients for some time, as
// greylisting does.
func testPostfixDefersRecipient(t *testing.T, d *dovecot, p *postfix, bin executable) {
	const n, user, at, later = 3, "defers@example.org", "white@example.org", "grey@example.org"
	d.fill(t, user, n)
	held := d.holds(t, user)
	h := newHome(t, bin)
	h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(at, later)))
	p.ask(func(_, recipient string) string {
		if recipient == later {
			return "DEFER_IF_PERMIT 4.7.1 greylisted"
		}
		return ""
	})
	h.once(t, 75).says(t, "RCPT TO:<"+later+">", "450", "4.7.1", "greylisted")
	h.once(t, 75)
	sameMail(t, "the server meanwhile", d.holds(t, user), held)
	p.ask(nil)
	h.once(t, 0)
	for _, to := range []string{at, later} {
		got, _ := p.holds(t, to, n)
		sameMail(t, to, got, asSent(held))
	}
	sameMail(t, "the server afterwards", d.holds(t, user), nil)
}

// testPostfixRefusesMessages has Postfix refuse messages that it has read, for now or for good. Where
// it hangs up, it has not taken the message, which goes over another connection.
func testPostfixRefusesMessages(t *testing.T, d *dovecot, p *postfix, bin executable) {
	const n, to = 6, "verdict@example.org"
	want := make(mailbag)
	sent := 0
	for i, x := range []struct {
		state, action string
		code, left    int
	}{
		{endOfMessage, "450 4.3.0 later", 75, 1},
		{endOfMessage, "550 5.7.1 never", 73, 1},
		{endOfMessage, "421 4.3.2 the system is going down", 0, 0},
		{"RCPT", "421 4.3.2 the system is going down", 0, 0},
	} {
		user := fmt.Sprintf("verdict%d@example.org", i)
		d.fill(t, user, n)
		for text := range asSent(d.holds(t, user)) {
			want[text]++
		}
		h := newHome(t, bin)
		h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(to)))
		asked := 0
		p.ask(func(state, _ string) string {
			if state == x.state {
				if asked++; asked == 3 {
					return x.action
				}
			}
			return ""
		})
		said := h.once(t, x.code)
		if x.code != 0 {
			said.says(t, strings.SplitN(x.action, " ", 3)...)
		}
		p.ask(nil)
		if left := d.holds(t, user).count(); left != x.left {
			t.Errorf("%s: the server holds %d messages, want %d", x.action, left, x.left)
		}
		h.once(t, 0)
		sameMail(t, "the server afterwards", d.holds(t, user), nil)
		sent += n
	}
	got, _ := p.holds(t, to, sent)
	sameMail(t, to, got, want)
}

// testPostfixLogins has Dovecot check the logins of those who hand in mail.
func testPostfixLogins(t *testing.T, d *dovecot, p *postfix, bin executable) {
	const to = "login@example.org"
	want := make(mailbag)
	h := newHome(t, bin)
	configure := func(user, addr, mode string, keys ...string) {
		h.configure(t, d.account("work", user, "implicit", "keep = false", p.destination(addr, mode, []string{to}, keys...)))
	}
	keys := func(user, auth, password string) string {
		return fmt.Sprintf("user = %q, auth = %q, password = %q", user, auth, password)
	}
	for mode, addr := range map[string]string{"starttls": p.Submission, "implicit": p.Submissions} {
		for auth, mechanism := range map[string]string{
			"plain": "PLAIN", "login": "LOGIN", "cram-md5": "CRAM-MD5", "scram-sha-1": "SCRAM-SHA-1", "scram-sha-256": "SCRAM-SHA-256", "auto": "SCRAM-SHA-256",
		} {
			user := auth + "-" + mode + "@example.org"
			d.fill(t, user, 1)
			for text := range asSent(d.holds(t, user)) {
				want[text]++
			}
			configure(user, addr, mode, keys(user, auth, password))
			h.silently(t)
			sameMail(t, user, d.holds(t, user), nil)
			p.logs(t, "sasl_method="+mechanism+", sasl_username="+user)
		}
		user := "refused-" + mode + "@example.org"
		d.fill(t, user, 1)
		held := d.holds(t, user)
		configure(user, addr, mode, keys(user, "auto", "not-this-one"))
		h.once(t, 77).says(t, "with scram-sha-256", "535", "5.7.8", "hint: check user and password")
		configure(user, addr, mode)
		h.once(t, 73).says(t, "554", "5.7.1", "Access denied", "hint: the server may want a login: set user and password in the table smtp")
		sameMail(t, user, d.holds(t, user), held)
	}
	got, _ := p.holds(t, to, len(want))
	sameMail(t, to, got, want)
}

// testKillWhilePostfixDecides kills popfetch while the reply to a recipient or to a message is due.
// The message that Postfix takes then comes once more, with its delivery id.
func testKillWhilePostfixDecides(t *testing.T, d *dovecot, p *postfix, bin executable) {
	const user, to = "killed@example.org", "kill@example.org"
	kills := atMost(6, 60)
	n := 3 * kills
	d.fill(t, user, n)
	held := d.holds(t, user)
	h := newHome(t, bin)
	h.configure(t, d.account("work", user, "implicit", "keep = false", p.to(to)))
	for i := range kills {
		instant := []string{"RCPT", endOfMessage}[i%2]
		cmd, started, ended := h.command("--once"), make(chan struct{}), make(chan struct{})
		asked := 0
		p.ask(func(state, _ string) string {
			if state == instant {
				if asked++; asked == 2 {
					<-started
					cmd.Process.Kill()
					<-ended
				}
			}
			return ""
		})
		must(t, cmd.Start())
		close(started)
		cmd.Wait()
		close(ended)
		if cmd.ProcessState.Exited() {
			t.Fatalf("popfetch was not killed: %v", cmd.ProcessState)
		}
	}
	p.ask(nil)
	h.once(t, 0)
	h.silently(t)
	got, ids := p.holds(t, to, n+kills/2)
	if len(ids) != n || got.count() != n+kills/2 {
		t.Errorf("%d messages with %d delivery ids, want %d with %d", got.count(), len(ids), n+kills/2, n)
	}
	want := asSent(held)
	for text := range got {
		got[text] = min(got[text], want[text])
	}
	sameMail(t, "all runs", got, want)
	sameMail(t, "the server afterwards", d.holds(t, user), nil)
}
