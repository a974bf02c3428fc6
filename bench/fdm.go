//go:build linux

package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// fdm polls all accounts at the same time, with a process for each, and sends one command at
// a time. As root it would switch to another user for a part of the work. It cannot be told
// which certificate to trust, so it does not verify any.
type fdm struct{}

func (fdm) name() string         { return "fdm" }
func (fdm) limit() time.Duration { return 0 }

func (fdm) setUp(home string, j job) (command, error) {
	var conf bytes.Buffer
	fmt.Fprintf(&conf, "set lock-file %q\nset maximum-size 1g\n", filepath.Join(home, "lock"))
	for _, user := range j.users {
		maildir, err := makeMaildir(home, user)
		if err != nil {
			return command{}, err
		}
		cache := filepath.Join(home, "cache-"+user)
		if err := os.WriteFile(cache, fdmCache(j.known[user]), 0o600); err != nil {
			return command{}, err
		}
		proto, verify := "pop3", ""
		if j.ca != "" {
			proto, verify = "pop3s", " no-verify"
		}
		keep := "keep"
		if j.dele {
			keep = ""
		}
		fmt.Fprintf(&conf, "account %[1]q %[2]s server %[3]q port %[4]s user %[1]q pass %[5]q new-only cache %[6]q%[7]s %[8]s\n",
			user, proto, j.host, j.port, password, cache, verify, keep)
		fmt.Fprintf(&conf, "action %[1]q maildir %[2]q\nmatch account %[1]q action %[1]q\n", user, maildir)
	}
	file := filepath.Join(home, "fdm.conf")
	return command{
		argv: []string{"fdm", "-q", "-f", file, "fetch"},
		env:  []string{"HOME=" + home, "TMPDIR=" + home},
		as:   j.nobody,
	}, os.WriteFile(file, conf.Bytes(), 0o600)
}

// fdmCache lists known messages as fdm does: each unique-id behind its length.
func fdmCache(known []message) []byte {
	var cache bytes.Buffer
	for _, m := range known {
		fmt.Fprintf(&cache, "%d %s\n", len(m.id), m.id)
	}
	return cache.Bytes()
}

func (fdm) read(home string, _ []byte) (outcome, error) {
	n, err := inMaildirs(home)
	return outcome{delivered: n}, err
}
