//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"time"
)

// peers returns the other programs that are installed, and the Debian packages
// that are missing.
func peers() (installed []contender, missing []string) {
	has := func(program string) bool {
		_, err := exec.LookPath(program)
		if err != nil {
			missing = append(missing, program)
		}
		return err == nil
	}
	if has("mpop") {
		installed = append(installed, mpop{})
	}
	if has("fdm") {
		installed = append(installed, fdm{})
	}
	if has("getmail") {
		installed = append(installed, getmail{})
	}
	if f, p := has("fetchmail"), has("procmail"); f && p {
		installed = append(installed, fetchmail{})
	}
	return installed, missing
}

// mpop pipelines, writes into Maildirs itself, and polls one account after the other.
type mpop struct{}

func (mpop) name() string         { return "mpop" }
func (mpop) limit() time.Duration { return 0 }

func (mpop) setUp(home string, j job) (command, error) {
	var conf, uidls bytes.Buffer
	for _, user := range j.users {
		maildir, err := makeMaildir(home, user)
		if err != nil {
			return command{}, err
		}
		fmt.Fprintf(&conf, "account %[1]s\nhost %[2]s\nport %[3]s\nuser %[1]s\npassword %[4]s\nauth plain\ndelivery maildir %[5]s\n"+
			"uidls_file %[6]s/uidls-%%U\nkeep %[7]s\n", user, j.host, j.port, password, maildir, home, onOff(!j.dele))
		if j.ca == "" {
			fmt.Fprintf(&conf, "tls off\n")
		} else {
			fmt.Fprintf(&conf, "tls on\ntls_starttls off\ntls_trust_file %s\n", j.ca)
		}
		if held := j.known[user]; len(held) > 0 {
			ids := make([]string, len(held))
			for i, m := range held {
				ids[i] = m.id
			}
			slices.Sort(ids)
			uidls.Reset()
			fmt.Fprintf(&uidls, " %d %s %s\n", len(ids), j.host, user)
			for _, id := range ids {
				fmt.Fprintln(&uidls, id)
			}
			if err := os.WriteFile(filepath.Join(home, "uidls-"+user), uidls.Bytes(), 0o600); err != nil {
				return command{}, err
			}
		}
	}
	file := filepath.Join(home, "mpoprc")
	return command{
		argv: []string{"mpop", "-C", file, "-Q", "-a"},
		env:  []string{"HOME=" + home},
	}, os.WriteFile(file, conf.Bytes(), 0o600)
}

func (mpop) read(home string, _ []byte) (outcome, error) {
	n, err := inMaildirs(home)
	return outcome{delivered: n}, err
}

func onOff(b bool) string {
	if b {
		return "on"
	}
	return "off"
}

// fetchmail hands each message to procmail, which writes into a Maildir.
type fetchmail struct{}

func (fetchmail) name() string         { return "fetchmail" }
func (fetchmail) limit() time.Duration { return 0 }

func (fetchmail) setUp(home string, j job) (command, error) {
	maildir, err := makeMaildir(home, "all")
	if err != nil {
		return command{}, err
	}
	procmailrc := filepath.Join(home, "procmailrc")
	if err := os.WriteFile(procmailrc, fmt.Appendf(nil, "MAILDIR=%s\nDEFAULT=%s/\n", home, maildir), 0o600); err != nil {
		return command{}, err
	}
	var conf, ids bytes.Buffer
	fmt.Fprintf(&conf, "set no syslog\npoll %s service %s protocol POP3 uidl auth password\n", j.host, j.port)
	for _, user := range j.users {
		fmt.Fprintf(&conf, "  user %q password %q mda \"procmail %s\"", user, password, procmailrc)
		if j.ca != "" {
			fmt.Fprintf(&conf, " ssl sslcertck sslcertfile %q", j.ca)
		} else {
			fmt.Fprint(&conf, " sslproto \"\"") // or it would try STLS
		}
		if j.dele {
			fmt.Fprintln(&conf, " nokeep")
		} else {
			fmt.Fprintln(&conf, " keep")
		}
		for _, m := range j.known[user] {
			fmt.Fprintf(&ids, "%s@%s %s\n", user, j.host, m.id)
		}
	}
	if ids.Len() > 0 {
		if err := os.WriteFile(filepath.Join(home, ".fetchids"), ids.Bytes(), 0o600); err != nil {
			return command{}, err
		}
	}
	file := filepath.Join(home, "fetchmailrc")
	return command{
		// As root and without --pidfile it would use the lock of the system's fetchmail.
		argv:    []string{"fetchmail", "-f", file, "-s", "--nodetach", "--pidfile", filepath.Join(home, "pid")},
		env:     []string{"HOME=" + home, "FETCHMAILHOME=" + home},
		okCodes: []int{1}, // no new mail
	}, os.WriteFile(file, conf.Bytes(), 0o600)
}

func (fetchmail) read(home string, _ []byte) (outcome, error) {
	n, err := inMaildirs(home)
	return outcome{delivered: n}, err
}
