package config

import (
	"testing"
	"time"
)

// A daemon that polls on request must not do so with settings that the user has changed.
func TestDigestChangesWithWhatAPollDependsOn(t *testing.T) {
	fresh := func() *Account {
		_, a := builtin()
		a.Name, a.Host, a.Server, a.User, a.Maildir = "work", "pop.example.org", "pop.example.org", "me", "/mail"
		a.PasswordText = NewSecret("one")
		return &a
	}
	first := fresh().Digest()
	for name, change := range map[string]func(*Account){
		"server": func(a *Account) { a.Server = "other.example.org:110" }, "user": func(a *Account) { a.User = "you" },
		"password": func(a *Account) { a.PasswordText = NewSecret("two") }, "secret": func(a *Account) { a.ClientSecret = NewSecret("two") },
		"keep": func(a *Account) { a.Keep = Keep{Delete: true, After: Duration(time.Hour)} }, "maildir": func(a *Account) { a.Maildir = "/other" },
	} {
		a := fresh()
		if change(a); a.Digest() == first {
			t.Errorf("another %s has the same digest", name)
		}
	}
	same := fresh()
	same.Interval, same.Enabled = Duration(time.Hour), false
	if same.Digest() != first {
		t.Error("another interval has another digest")
	}
}
