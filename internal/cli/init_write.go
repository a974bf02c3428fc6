package cli

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"popfetch/fetch"
	"popfetch/internal/config"
	"popfetch/internal/durable"
)

// write writes the configuration, and the password to where it is kept, or neither.
func (s *setup) write(ctx context.Context) (err error) {
	target := s.target
	if s.existing != nil { // a link to a file elsewhere stays a link
		if target, err = filepath.EvalSymlinks(target); err != nil {
			return &fetch.ConfigError{Err: err}
		}
	}
	if target, err = filepath.Abs(target); err != nil {
		return &fetch.ConfigError{Err: err}
	}
	passwordFile := filepath.Join(filepath.Dir(target), s.account.Name+".password")
	if !s.flags.print {
		if err := s.keepPassword(ctx, passwordFile); err != nil {
			return err
		}
	} else if s.typed != "" {
		s.account.PasswordFile = passwordFile
	}
	text, err := s.configuration()
	if err != nil {
		return &fetch.ConfigError{Err: err}
	}
	if s.flags.print {
		if s.typed != "" {
			s.con.say("the password is not stored: put it into %s, mode 0600", tilde(passwordFile))
		}
		if s.lacksClientSecret() {
			s.con.say("%s", wantsClientSecret)
		}
		_, err := fmt.Fprint(s.con.out, text)
		return err
	}
	draft, err := newConfigDraft(target, text)
	if err != nil {
		return err
	}
	defer draft.discard()
	if _, err := draft.load(); err != nil {
		return err
	}
	if s.typed != "" && s.account.PasswordFile == passwordFile {
		if err := writePassword(passwordFile, s.typed); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				os.Remove(passwordFile)
			}
		}()
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if s.existing == nil {
		err = draft.publish()
	} else if err = s.unchanged(target); err == nil {
		err = draft.replace()
	}
	if err != nil {
		return err
	}
	s.nextSteps(passwordFile)
	return nil
}

// unchanged is an error if the configuration is not what init has read.
func (s *setup) unchanged(target string) error {
	data, _, err := config.ReadFile(target, mostImported)
	if err == nil && string(data) != s.text {
		err = errors.New("changed while init ran; nothing was written")
	}
	if err != nil {
		return &fetch.ConfigError{Err: &config.Error{File: s.target, Msg: config.WithoutPath(err).Error(), Err: err}}
	}
	return nil
}

// configuration returns the text of the new configuration.
func (s *setup) configuration() (string, error) {
	a := s.account
	comment := s.address.String() + ", written by popfetch init."
	if s.provider != nil {
		comment = s.address.String() + " at " + s.provider.Name + ", written by popfetch init."
	}
	if s.provider != nil && s.provider.Advice != "" {
		comment += "\n" + s.provider.Advice + "."
	}
	comment += "\nkeep = true leaves delivered mail on the server, false deletes it at once,\n\"14d\" deletes it 14 days after its delivery."
	if a.Keyring {
		comment += "\nThe password is in the keyring; popfetch password set " + a.Name + " changes it."
	}
	o := s.written()
	if s.existing != nil {
		return config.Append(s.text, s.target, a, comment, o)
	}
	c, err := config.New()
	if err != nil {
		return "", err
	}
	c.Accounts = append(c.Accounts, a)
	var text bytes.Buffer
	err = c.Write(&text, config.Comments{
		"":     "Configuration of popfetch. popfetch.toml(5) explains every key, popfetch check\ntests the accounts, popfetch init adds another one.",
		a.Name: comment,
	}, o)
	return text.String(), err
}

// written returns how the configuration is written. That of a user has ~ for the home directory;
// the one of the system is read by another user.
func (s *setup) written() config.Options {
	o := configOptions()
	target, err := filepath.Abs(s.target)
	home, unknown := config.HomeDir()
	if err == nil && unknown == nil && strings.HasPrefix(target, home+"/") {
		o.Home = home
	}
	return o
}

// writePassword makes a file with a password, mode 0600, that survives a power cut.
func writePassword(path, password string) error {
	failed := func(err error) error {
		e := &config.Error{File: path, Msg: config.WithoutPath(err).Error(), Err: err}
		if errors.Is(err, fs.ErrExist) {
			e.Msg, e.Hint = "exists already, and init overwrites nothing", "remove it if it is of no use any more, or use it with --password-file"
		}
		return &fetch.ConfigError{Err: e}
	}
	f, err := durable.Create(path)
	if err != nil {
		return failed(err)
	}
	_, err = f.WriteString(password + "\n")
	if err = errors.Join(err, f.Sync(), f.Close(), durable.SyncDir(filepath.Dir(path))); err != nil {
		os.Remove(path)
		return failed(err)
	}
	return nil
}

// wantsClientSecret is for an account that popfetch authorize cannot sign in yet.
const wantsClientSecret = "Google demands the secret of the client too: add client_secret or client_secret_command to the account"

// nextSteps says what was written and what the user can do now.
func (s *setup) nextSteps(passwordFile string) {
	out, a := s.con.out, s.account
	name := a.Name
	verb := "wrote"
	if s.existing != nil {
		verb = "added the account " + name + " to"
	}
	fmt.Fprintf(out, "%s %s\n", verb, tilde(s.target))
	if s.typed != "" && a.PasswordFile == passwordFile {
		fmt.Fprintf(out, "wrote %s\n", tilde(passwordFile))
	}
	if s.lacksClientSecret() {
		fmt.Fprintf(out, "%s\n", wantsClientSecret)
	}
	if s.con.quiet {
		return
	}
	steps := []string{withConfig("popfetch --once "+name, s.target)}
	if mail := a.Maildir + a.MBox; mail != "" {
		steps = append(steps, "mutt -f "+tilde(mail))
	}
	steps = append(steps, "systemctl --user enable --now popfetch.timer")
	if a.OAuth.IsSet() {
		steps = append([]string{withConfig("popfetch authorize "+name, s.target)}, steps...)
	}
	fmt.Fprintln(out, "next steps:")
	for _, step := range steps {
		fmt.Fprintf(out, "  %s\n", step)
	}
}

// tilde shortens a path below the home directory.
func tilde(path string) string {
	if home, err := config.HomeDir(); err == nil {
		if rest, ok := strings.CutPrefix(path, home+"/"); ok {
			return "~/" + rest
		}
	}
	return path
}
