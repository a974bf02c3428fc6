package secret

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/zalando/go-keyring"

	"popfetch/internal/config"
)

// Ring is a keyring of passwords by service and user: the Secret Service of the desktop
// on Linux. Its calls may wait for the user to unlock it, for ever if nobody sees the
// question.
type Ring interface {
	Get(service, user string) (string, error)
	Set(service, user, password string) error
	Delete(service, user string) error
}

// system is the keyring of the system.
type system struct{}

func (system) Get(service, user string) (string, error) { return keyring.Get(service, user) }

func (system) Set(service, user, password string) error { return keyring.Set(service, user, password) }

func (system) Delete(service, user string) error { return keyring.Delete(service, user) }

// service is the name of an account's server in the keyring. It is the attribute
// "service"; "username" is the user.
func (s *Source) service() string { return "popfetch:" + s.Host }

// fromKeyring looks the secret up.
func (s *Source) fromKeyring(ctx context.Context) (string, error) {
	var text string
	err := s.withRing(ctx, func(r Ring) (err error) {
		text, err = r.Get(s.service(), s.User)
		return err
	})
	if err != nil {
		return "", err
	}
	return firstLine(s.String(), []byte(text))
}

// Store puts a password into the keyring, in place of one that is there.
func (s *Source) Store(ctx context.Context, password string) error {
	if err := check(password); err != nil {
		return &Error{Source: s.String(), Msg: err.Error(), Err: err}
	}
	return s.withRing(ctx, func(r Ring) error { return r.Set(s.service(), s.User, password) })
}

// Remove removes the password from the keyring.
func (s *Source) Remove(ctx context.Context) error {
	return s.withRing(ctx, func(r Ring) error { return r.Delete(s.service(), s.User) })
}

// withRing calls fn, which cannot be interrupted, and waits for it for a limited time. A
// call that goes on is not repeated: each would ask the user once more.
func (s *Source) withRing(ctx context.Context, fn func(Ring) error) error {
	r := s.Ring
	if r == nil {
		if !hasSessionBus() {
			return &Error{Source: s.String(), Msg: "there is no session bus to reach a keyring by",
				Hint: "under cron and on servers use password_command or credential; or set DBUS_SESSION_BUS_ADDRESS"}
		}
		r = system{}
	}
	limit := commandLimit
	if s.Terminal.Attended() {
		limit = typingLimit
	}
	if s.RingLimit > 0 {
		limit = s.RingLimit
	}
	late := &Error{Source: s.String(), Msg: "no answer after " + config.Duration(limit).String(), Hint: "it may be locked and wait for you", Retry: true}
	if !s.waiting.CompareAndSwap(false, true) {
		return late
	}
	done := make(chan error, 1)
	go func() {
		err := fn(r)
		s.waiting.Store(false)
		done <- err
	}()
	select {
	case err := <-done:
		return s.ringError(err)
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", s, context.Cause(ctx))
	case <-time.After(limit):
		return late
	}
}

func (s *Source) ringError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, keyring.ErrNotFound):
		return &Error{Source: s.String(), Msg: "there is no password for " + s.User + " at " + s.Host, Err: err,
			Hint: "run popfetch password set " + s.Account}
	}
	return &Error{Source: s.String(), Msg: shorten(err.Error()), Retry: true, Err: err,
		Hint: "is a Secret Service running and unlocked, such as that of GNOME, KDE or KeePassXC?"}
}

// shorten bounds and escapes the words of another program.
func shorten(text string) string {
	if len(text) > maxStderr {
		text = text[:maxStderr]
	}
	return strings.Map(printable, text)
}

// HasKeyring reports whether there may be a keyring: whether there is a bus to reach one by.
func HasKeyring() bool { return hasSessionBus() }

// hasSessionBus reports whether there is a bus to connect to. Without one the library
// would start a bus of its own, with an empty keyring behind it.
func hasSessionBus() bool {
	if address := os.Getenv("DBUS_SESSION_BUS_ADDRESS"); address != "" && address != "autolaunch:" {
		return true
	}
	for _, dir := range []string{os.Getenv("XDG_RUNTIME_DIR"), fmt.Sprintf("/run/user/%d", os.Getuid())} {
		if dir == "" {
			continue
		}
		if _, err := os.Stat(filepath.Join(dir, "bus")); err == nil {
			return true
		}
	}
	return false
}
