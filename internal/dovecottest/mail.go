//go:build linux

package dovecottest

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
)

// AddUser makes an empty Maildir for a user and returns its path. Dovecot serves users
// without one too, and makes it when they log in.
func (s *Server) AddUser(name string) (maildir string, err error) {
	maildir = filepath.Join(s.Mail, name)
	for _, dir := range []string{maildir, filepath.Join(maildir, "cur"), filepath.Join(maildir, "new"), filepath.Join(maildir, "tmp")} {
		if err := s.mkdir(dir); err != nil {
			return "", err
		}
	}
	return maildir, nil
}

// Deliver puts a message into the Maildir of a user of AddUser, under a name that no other
// message has. Dovecot lists messages in the order of their names.
func (s *Server) Deliver(user, name string, text []byte) error {
	path := filepath.Join(s.Mail, user, "new", name)
	return errors.Join(os.WriteFile(path, text, 0o600), s.Own(path))
}

// Own makes the owner of all mail that of a file.
func (s *Server) Own(path string) error { return os.Lchown(path, s.UID, s.GID) }

func (s *Server) mkdir(path string) error {
	if err := os.Mkdir(path, 0o700); err != nil {
		return err
	}
	return s.Own(path)
}

// Backup copies all mail, with Dovecot's indexes, into a new directory. The server should
// be stopped.
func (s *Server) Backup(dir string) error { return copyTree(s.Mail, dir) }

// Restore puts a Backup in place of the mail, as an operator does after the loss of a disk,
// and starts the server again.
func (s *Server) Restore(dir string) error {
	s.Stop()
	if err := os.RemoveAll(s.Mail); err != nil {
		return err
	}
	if err := copyTree(dir, s.Mail); err != nil {
		return err
	}
	return s.run()
}

// copyTree copies a directory with owners, modes and times.
func copyTree(from, to string) error {
	if out, err := exec.Command("cp", "-a", "--no-target-directory", from, to).CombinedOutput(); err != nil {
		return fmt.Errorf("cp: %w: %s", err, out)
	}
	return nil
}
