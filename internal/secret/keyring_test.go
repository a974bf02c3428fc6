package secret

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/zalando/go-keyring"
)

// ring is a keyring in memory. With a lock it waits until that is closed.
type ring struct {
	passwords map[string]string
	lock      chan struct{}
	err       error
	calls     atomic.Int32
}

func (r *ring) open() error {
	r.calls.Add(1)
	if r.lock != nil {
		<-r.lock
	}
	return r.err
}

func (r *ring) Get(service, user string) (string, error) {
	if err := r.open(); err != nil {
		return "", err
	}
	password, ok := r.passwords[service+" "+user]
	if !ok {
		return "", keyring.ErrNotFound
	}
	return password, nil
}

func (r *ring) Set(service, user, password string) error {
	r.passwords[service+" "+user] = password
	return r.open()
}

func (r *ring) Delete(service, user string) error {
	if _, ok := r.passwords[service+" "+user]; !ok {
		return keyring.ErrNotFound
	}
	delete(r.passwords, service+" "+user)
	return r.open()
}

func TestKeyringKeepsAPasswordOfAnAccount(t *testing.T) {
	r := &ring{passwords: make(map[string]string)}
	s := &Source{Account: "work", Host: "pop.example.org", User: "me", Keyring: true, Ring: r}
	_, err := s.Secret(t.Context())
	checkPassword(t, "", err, "", "there is no password for me at pop.example.org (run popfetch password set work)")
	if err := s.Store(t.Context(), "hunter2"); err != nil {
		t.Fatal(err)
	}
	got, err := s.Secret(t.Context())
	checkPassword(t, got, err, "hunter2", "")
	if r.passwords["popfetch:pop.example.org me"] != "hunter2" {
		t.Errorf("the keyring has %q", r.passwords)
	}
	if err := s.Store(t.Context(), "hun\nter2"); err == nil || strings.Contains(err.Error(), "ter2") {
		t.Errorf("a password with a line end: %v", err)
	}
	if err := s.Remove(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := s.Remove(t.Context()); err == nil {
		t.Error("removed twice")
	}
	r.err = errors.New("the collection is \x1b locked")
	_, err = s.Secret(t.Context())
	var e *Error
	if !errors.As(err, &e) || !e.Temporary() || strings.Contains(err.Error(), "\x1b") {
		t.Errorf("got %v", err)
	}
}

// A keyring that waits for somebody to unlock it holds up nobody, and is asked once.
func TestLockedKeyringIsTemporary(t *testing.T) {
	r := &ring{lock: make(chan struct{})}
	s := &Source{Host: "h", User: "me", Keyring: true, Ring: r, RingLimit: 20 * time.Millisecond}
	for range 3 {
		_, err := s.Secret(t.Context())
		var e *Error
		if !errors.As(err, &e) || !e.Temporary() || !strings.Contains(err.Error(), "password: keyring: no answer after 20ms (it may be locked") {
			t.Errorf("got %v", err)
		}
	}
	close(r.lock)
	if n := r.calls.Load(); n != 1 {
		t.Errorf("asked %d times", n)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Secret(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestNoKeyringWithoutASessionBus(t *testing.T) {
	t.Setenv("DBUS_SESSION_BUS_ADDRESS", "")
	t.Setenv("XDG_RUNTIME_DIR", t.TempDir())
	if hasSessionBus() {
		return // of this user, in its usual place
	}
	_, err := (&Source{Keyring: true}).Secret(t.Context())
	checkPassword(t, "", err, "", "there is no session bus to reach a keyring by")
}
