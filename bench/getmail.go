//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// getmail polls one account after the other and sends one command at a time. It refuses to
// deliver as root. Version 6.18.11 sometimes misses the end of its own child process and then
// waits for three minutes, so its limit is short.
type getmail struct{}

func (getmail) name() string         { return "getmail" }
func (getmail) limit() time.Duration { return 20 * time.Second }

func (getmail) setUp(home string, j job) (command, error) {
	argv := []string{"getmail", "--quiet", "--getmaildir", home}
	for _, user := range j.users {
		maildir, err := makeMaildir(home, user)
		if err != nil {
			return command{}, err
		}
		kind, trust := "SimplePOP3Retriever", ""
		if j.ca != "" {
			kind, trust = "SimplePOP3SSLRetriever", "ca_certs = "+j.ca+"\n"
		}
		conf := fmt.Appendf(nil, "[retriever]\ntype = %s\nserver = %s\nport = %s\nusername = %s\npassword = %s\n%s\n"+
			"[destination]\ntype = Maildir\npath = %s/\n\n[options]\ndelete = %t\nread_all = false\ndelivered_to = false\nreceived = false\n",
			kind, j.host, j.port, user, password, trust, maildir, j.dele)
		if err := os.WriteFile(filepath.Join(home, "rc-"+user), conf, 0o600); err != nil {
			return command{}, err
		}
		argv = append(argv, "--rcfile", "rc-"+user)
		var seen bytes.Buffer
		for _, m := range j.known[user] {
			fmt.Fprintf(&seen, "%s\x00%d\n", m.id, time.Now().Unix())
		}
		if err := os.WriteFile(filepath.Join(home, fmt.Sprintf("oldmail-%s-%s-%s", j.host, j.port, user)), seen.Bytes(), 0o600); err != nil {
			return command{}, err
		}
	}
	return command{argv: argv, env: []string{"HOME=" + home}, as: j.nobody}, nil
}

func (getmail) read(home string, _ []byte) (outcome, error) {
	n, err := inMaildirs(home)
	return outcome{delivered: n}, err
}
