package config

import (
	"testing"
	"time"
)

// A daemon that polls on request must not do so with settings that the user has changed.
func TestDigestChangesWithWhatAPollDependsOn(t *testing.T) {
	proxy := func(password string) Proxy {
		p, err := ParseProxy("socks5://me:" + password + "@localhost:1080")
		if err != nil {
			t.Fatal(err)
		}
		return p
	}
	fresh := func() *Account {
		_, a := builtin()
		a.Name, a.Host, a.Server, a.User, a.Maildir = "work", "pop.example.org", "pop.example.org", "me", "/mail"
		a.PasswordText, a.Proxy = NewSecret("one"), proxy("one")
		return &a
	}
	first := fresh().Digest()
	for name, change := range map[string]func(*Account){
		"server": func(a *Account) { a.Server = "other.example.org:110" }, "user": func(a *Account) { a.User = "you" },
		"password": func(a *Account) { a.PasswordText = NewSecret("two") }, "secret": func(a *Account) { a.ClientSecret = NewSecret("two") },
		"keep": func(a *Account) { a.Keep = Keep{Delete: true, After: Duration(time.Hour)} }, "maildir": func(a *Account) { a.Maildir = "/other" },
		"password of the proxy": func(a *Account) { a.Proxy = proxy("two") }, "password of a destination": func(a *Account) { a.SMTP.PasswordText = NewSecret("two") },
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
