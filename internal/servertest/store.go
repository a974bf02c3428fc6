//go:build linux

package servertest

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
)

// The owner of all mail.
const (
	mailUser  = 4190
	mailGroup = 8 // Debian's group mail
)

// spool is the directory of all mailboxes in the jail, bound to the shared directory.
func (s *Server) spool() string { return filepath.Join(s.dir, "spool") }

// makeSpool puts a spool of mailboxes in place of the jail's /var/mail.
func (s *Server) makeSpool() error {
	script := fmt.Sprintf("mkdir %s\nchgrp mail %[1]s\nchmod 3777 %[1]s\nmount --bind %[1]s /var/mail\n", s.spool())
	for _, user := range Users() {
		script += fmt.Sprintf("install -o %s -g mail -m 660 /dev/null /var/mail/%[1]s\n", user)
	}
	return s.sh(script)
}

// appendToMbox delivers into the spool. Nobody else may be using the mailbox.
func appendToMbox(s *Server, user, name string, text []byte) error {
	f, err := os.OpenFile(filepath.Join(s.spool(), user), os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		return err
	}
	_, err = fmt.Fprintf(f, "From sender@example.org Thu Nov 26 10:00:00 2026\n%s\n", text)
	return errors.Join(err, f.Close())
}

// maildir is the Maildir of a user in the shared directory.
func (s *Server) maildir(user string) string { return filepath.Join(s.dir, "home", user, "Maildir") }

func (s *Server) makeMaildirs() error {
	script := ""
	for _, user := range Users() {
		for _, dir := range []string{"", "/cur", "/new", "/tmp"} {
			script += fmt.Sprintf("install -d -o %s -g mail -m 700 %s%s\n", user, s.maildir(user), dir)
		}
	}
	return s.sh(script)
}

// deliverToMaildir delivers into a user's Maildir.
func deliverToMaildir(s *Server, user, name string, text []byte) error {
	path := filepath.Join(s.maildir(user), "new", name)
	return errors.Join(os.WriteFile(path, text, 0o600), os.Chown(path, mailUser, mailGroup))
}
