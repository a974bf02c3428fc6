//go:build linux

package torture

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"

	"popfetch/internal/dovecottest"
)

// dovecot is a running Dovecot with a user for each trial.
type dovecot struct{ *dovecottest.Server }

// startDovecot starts a server for the duration of the test. It logs why and returns nil if
// there is no Dovecot.
func startDovecot(t *testing.T) *dovecot {
	t.Helper()
	if reason := dovecottest.Missing(); reason != "" {
		t.Logf("no trials against Dovecot: %s", reason)
		return nil
	}
	s, err := dovecottest.Start(dovecottest.Options{})
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return &dovecot{s}
}

// startReceiver is startDovecot for a server that takes mail, nil for a way that needs none.
func startReceiver(t *testing.T, to way) *dovecot {
	t.Helper()
	o, reason := dovecottest.Options{IMAP: to == toIMAP, LMTP: to == toLMTP}, ""
	switch to {
	case toIMAP:
		reason = dovecottest.MissingIMAP()
	case toLMTP:
		reason = dovecottest.MissingLMTP()
	default:
		return nil
	}
	if reason != "" {
		t.Logf("no trials with Dovecot: %s", reason)
		return nil
	}
	s, err := dovecottest.Start(o)
	must(t, err)
	t.Cleanup(func() { s.Close() })
	return &dovecot{s}
}

// mailbox is one user of a dovecot, as a receiver.
type mailbox struct {
	*dovecot
	to   way
	name string
}

func (m *mailbox) keys() string {
	if m.to == toLMTP {
		return fmt.Sprintf("lmtp = %q\nrecipient = %q\n", "unix:"+m.LMTP, m.name)
	}
	return fmt.Sprintf("[account.a.imap]\nserver = %q\nuser = %q\npassword = %q\ntls = \"none\"\n", m.IMAP, m.name, password)
}

func (m *mailbox) verbs() []string             { return nil }
func (m *mailbox) on(string, int, func()) bool { return false }

func (m *mailbox) texts() ([][]byte, error) {
	var texts [][]byte
	for _, dir := range []string{"new", "cur"} {
		names, err := filepath.Glob(filepath.Join(m.Mail, m.name, dir, "*"))
		if err != nil {
			return nil, err
		}
		for _, name := range names {
			text, err := os.ReadFile(name)
			if err != nil {
				return nil, err
			}
			texts = append(texts, text)
		}
	}
	return texts, nil
}

// maildrop is one user of a dovecot.
type maildrop struct {
	*dovecot
	name string
}

// provide implements provider.
func (d *dovecot) provide(trial string, n int) (server, func(), error) {
	m := &maildrop{d, trial}
	root, err := d.AddUser(trial)
	for i := range n {
		err = firstOf(err, d.Deliver(trial, fmt.Sprintf("17000000%03d.M1P1.host", i), compose(i)))
	}
	return m, func() { os.RemoveAll(root) }, err
}

func (m *maildrop) addr() string                { return m.POP3 }
func (m *maildrop) user() string                { return m.name }
func (m *maildrop) on(string, int, func()) bool { return false }

func (m *maildrop) left() (map[int]int, error) {
	got, err := collect(filepath.Join(m.Mail, m.name, "new"), filepath.Join(m.Mail, m.name, "cur"))
	held := make(map[int]int)
	for i, names := range got.whole {
		held[i] = len(names)
	}
	return held, err
}
