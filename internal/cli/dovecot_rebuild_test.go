//go:build linux

package cli_test

import (
	"fmt"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// testRebuildAfterPeers has another fetcher fill a Maildir and popfetch learn from it. Each
// of them changes messages: it puts fields in front, refolds others, and more. Messages
// that it changes too much are fetched again, and no others.
func testRebuildAfterPeers(t *testing.T, bin executable) {
	const ordinary, fresh = 20, 5
	for _, peer := range []struct {
		peerProgram
		unlike []string // parts of messages that it delivers as others, or not at all
	}{
		{
			peerProgram{
				program: "getmail", pkg: "getmail6", argv: []string{"getmail", "--getmaildir", "HOME/getmail", "--rcfile", "rc"},
				files: map[string]string{"getmail/rc": "[retriever]\ntype = SimplePOP3Retriever\nserver = HOST\nport = PORT\nusername = USER\npassword = PASSWORD\ntimeout = 10\n" +
					"[destination]\ntype = Maildir\npath = TARGET/\n[options]\nread_all = false\n"},
			},
			[]string{lineWithoutColon},
		},
		{
			peerProgram{
				program: "fetchmail", pkg: "fetchmail", argv: []string{"fetchmail", "-f", "HOME/fetchmailrc", "--nodetach", "--pidfile", "HOME/pid"}, others: []string{"procmail", "procmail"},
				files: map[string]string{
					"fetchmailrc": "set no syslog\npoll HOST service PORT protocol POP3 uidl auth password\n  user \"USER\" password \"PASSWORD\" mda \"procmail HOME/procmailrc\" sslproto \"\" keep\n",
					"procmailrc":  "LOGFILE=HOME/procmail.log\nDEFAULT=TARGET/\n",
				},
			},
			[]string{lineWithoutColon, headerless, hostlessAddress},
		},
		{
			peerProgram: peerProgram{
				program: "mpop", pkg: "mpop", argv: []string{"mpop", "-C", "HOME/mpoprc", "-a"},
				files: map[string]string{"mpoprc": "account work\nhost HOST\nport PORT\nuser USER\npassword PASSWORD\nauth user\ntls off\nkeep on\ndelivery maildir TARGET\nuidls_file HOME/uidls\n"},
			},
		},
	} {
		t.Run(peer.program, func(t *testing.T) {
			d := startDovecot(t, false)
			d.fill(t, alice, ordinary)
			for i, text := range oddMessages() {
				must(t, d.Deliver(alice, fmt.Sprintf("%d.M1P1.server", 1800000000+i), []byte(text)))
			}
			old := ordinary + len(oddMessages())
			h := newHome(t, bin)
			h.dir = filepath.Join(d.Dir, "home") // other users can reach it, unlike a t.TempDir
			dir := h.maildir("work")
			peer.fetch(t, d, h, "")
			h.configure(t, d.account("work", alice, "none"))
			before := inMaildir(t, dir, nil)
			if n := before.count(); n < old-len(peer.unlike) {
				t.Fatalf("%s has delivered %d messages of %d", peer.program, n, old)
			}
			out, err := h.command("state", "rebuild").CombinedOutput()
			must(t, err)
			said := regexp.MustCompile(`recognised (\d+) message`).FindStringSubmatch(string(out))
			if said == nil || said[1] != fmt.Sprint(old-len(peer.unlike)) {
				t.Errorf("%d messages are to be recognised; popfetch says\n%s", old-len(peer.unlike), out)
			}
			for i := range fresh {
				must(t, d.Deliver(alice, fmt.Sprintf("%d.M1P1.server", 1900000000+i), compose(alice, ordinary+i)))
			}
			h.once(t, 0)
			after, delivered := inMaildir(t, dir, nil), 0
			for text, n := range after {
				if n -= before[text]; n > 0 {
					delivered += n
					unexpected := !slices.ContainsFunc(peer.unlike, func(part string) bool { return strings.Contains(text, part) })
					if unexpected && !strings.Contains(text, "\nMessage-ID: <2") {
						t.Errorf("popfetch has fetched an old message:\n%.500s", text)
					}
				}
			}
			if want := fresh + len(peer.unlike); delivered != want {
				t.Errorf("popfetch has delivered %d messages instead of %d", delivered, want)
			}
		})
	}
}

// These mark the odd messages that not every fetcher delivers as they are. fetchmail adds
// its host to addresses and invents a header, getmail ends the header at a line that is no
// field, and fetchmail refuses it.
const (
	headerless       = "No header."
	hostlessAddress  = "addresses without a host"
	lineWithoutColon = "a line without a colon"
)

// oddMessages returns messages in which fetchers find something to change.
func oddMessages() []string {
	const received = "Received: from a.example.net (a.example.net [192.0.2.1])\n\tby mail.example.org with ESMTPS id 1;\n\tMon, 13 Jul 2026 10:00:00 +0200\n"
	many := strings.Repeat("A Recipient <a.recipient.with.a.long.name@example.org>, ", 30)
	const rest = "\nA line.\n"
	return []string{
		received + "From: a@example.net\nTo: " + many + "z@example.org\nSubject: unfolded, and " + strings.Repeat("long ", 60) + "\nMessage-ID: <odd1@example.net>\n" + rest,
		received + "From: a@example.net\nTo: z@example.org\nSubject: folded\n  twice\n\tand with  several   blanks \nMessage-ID:\n <odd2@example.net>\n" + rest,
		received + "From: G\xfcnter <a@example.net>\nTo: z@example.org\nSubject: Gr\xfc\xdfe, 8-bit\nMessage-ID: <odd3@example.net>\n" + rest,
		received + "From: Günter <a@example.net>\nTo: z@example.org\nSubject: Grüße, UTF-8\nMessage-ID: <odd4@example.net>\n" + rest,
		"Return-Path: <a@example.net>\nDelivered-To: z@example.org\n" + received + received + "From: a@example.net\nTo: z@example.org\nSubject: status\nStatus: RO\nX-Status: A\nMessage-ID: <odd5@example.net>\n" + rest,
		"From: a@example.net\nTo: z@example.org\nSubject: neither Received nor Message-ID\nDate: Mon, 13 Jul 2026 10:00:00 +0200\n" + rest,
		"From: a@example.net\nTo: z@example.org\nSubject: neither Received nor Message-ID\nDate: Mon, 13 Jul 2026 10:00:00 +0200\n\nAnother body.\n",
		"From: a@example.net\nSubject: no Date and no To\nMessage-ID: <odd6@example.net>\n" + rest,
		"X-Only: this\n" + rest,
		"\n" + headerless + "\n",
		"From: a@example.net\nSubject:\nMessage-ID: <odd7@example.net>\nTo:\n" + rest,
		"From: root\nTo: alice\nSubject: " + hostlessAddress + "\nMessage-ID: <odd8@example.net>\n" + rest,
		"From: a@example.net\nFrom: b@example.net\nSubject: one\nSubject: two\nMessage-ID: <odd9@example.net>\n" + rest,
		received + "From: a@example.net\nSubject: the same twice\nMessage-ID: <odd10@example.net>\n" + rest,
		received + "From: a@example.net\nSubject: the same twice\nMessage-ID: <odd10@example.net>\n" + rest,
		"From: a@example.net\nSubject: no empty line behind the header\nMessage-ID: <odd11@example.net>\n",
		"From: a@example.net\nthis is not a field\nSubject: " + lineWithoutColon + "\nMessage-ID: <odd12@example.net>\n" + rest,
		"From: =?UTF-8?B?R8O8bnRlcg==?= =?UTF-8?Q?M=C3=BCller?= <a@example.net>\nSubject: =?utf-8?q?encoded=20words?=\n =?utf-8?q?_of_two_lines?=\nMessage-ID: <odd13@example.net>\n" + rest,
		received + "From: a@example.net\nTo: undisclosed-recipients:;\nSubject: \ttabs\tin\tbetween\t\nMessage-ID: <odd14@example.net>\n" + rest,
		received + "from: a@example.net\nSUBJECT: names in other letters\nMESSAGE-ID: <odd15@example.net>\n" + rest,
	}
}
