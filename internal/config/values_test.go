package config

import (
	"os/user"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

func TestDurationWithoutUnitIsRefused(t *testing.T) {
	for s, want := range map[string]struct {
		d    time.Duration
		text string
	}{
		"5m": {5 * time.Minute, "5m"}, "60s": {time.Minute, "1m"}, "1d12h": {36 * time.Hour, "1d12h"},
		"14d": {14 * 24 * time.Hour, "14d"}, "2w": {14 * 24 * time.Hour, "14d"}, "1w1ms": {7*24*time.Hour + time.Millisecond, "7d1ms"},
		"250ms": {250 * time.Millisecond, "250ms"}, "0s": {0, "0s"}, "1h0m5s": {time.Hour + 5*time.Second, "1h5s"},
		"106751d": {106751 * 24 * time.Hour, "106751d"},
	} {
		d, err := ParseDuration(s)
		if err != nil || time.Duration(d) != want.d || d.String() != want.text {
			t.Errorf("%s: %v, %s, %v", s, time.Duration(d), d, err)
		}
	}
	for s, want := range map[string]string{
		"": "empty", "5": `write "5s", "5m"`, "m": "not a duration", "5 m": "not a duration", "-5m": "not a duration", "1.5h": "not a duration",
		"5mm": "not a duration", "5y": "not a duration", "5M": "not a duration", "5m3": "not a duration", "106752d": "too long",
		"99999999999999999999s": "too long", "106751d106751d": "too long",
	} {
		if d, err := ParseDuration(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v, %v", s, d, err)
		}
	}
}

func TestSizeWithoutUnitIsRefused(t *testing.T) {
	for s, want := range map[string]Size{
		"50MiB": 50 << 20, "10MB": 1e7, "512B": 512, "1 kb": 1000, "3gib": 3 << 30, "2GB": 2e9, "7KiB": 7 << 10, "0B": 0,
	} {
		if n, err := ParseSize(s); err != nil || n != want {
			t.Errorf("%s: %d, %v", s, n, err)
		}
	}
	for s, want := range map[string]string{
		"": "not a size", "50": `write "50MiB" or "50B"`, "MiB": "not a size", "50M": "the units are", "1.5GiB": "the units are",
		"-1B": "not a size", "9223372036854775808B": "too large", "8589934592GiB": "too large",
	} {
		if n, err := ParseSize(s); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %d, %v", s, n, err)
		}
	}
	for n, want := range map[Size]string{0: "0B", 1: "1B", 1000: "1000B", 1024: "1KiB", 50 << 20: "50MiB", 3 << 40: "3072GiB", 1<<20 + 1: "1048577B"} {
		if n.String() != want {
			t.Errorf("%d: %s", int64(n), n)
		}
	}
	var n Size
	if err := n.UnmarshalTOML(int64(5)); err != nil || n != 5 {
		t.Errorf("an integer counts octets: %d, %v", n, err)
	}
}

func TestKeepIsBooleanOrDuration(t *testing.T) {
	for _, x := range []struct {
		v    any
		want Keep
		text string
	}{
		{true, Keep{}, "true"}, {false, Keep{Delete: true}, "false"}, {"14d", Keep{true, Duration(14 * 24 * time.Hour)}, "14d"},
	} {
		var k Keep
		if err := k.UnmarshalTOML(x.v); err != nil || k != x.want || k.String() != x.text {
			t.Errorf("%v: %+v, %v", x.v, k, err)
		}
	}
}

func TestMisspeltNameIsRecognised(t *testing.T) {
	known := []string{"server", "user", "keep", "mda", "max_size", "tls"}
	for got, want := range map[string]string{
		"sevrer": "server", "users": "user", "kepe": "keep", "max-size": "max_size", "MaxSize": "max_size", "tsl": "tls",
		"xyz": "", "m": "", "": "", strings.Repeat("server", 20): "",
	} {
		if n := Nearest(got, known); n != want {
			t.Errorf("%q: %q, want %q", got, n, want)
		}
	}
}

// Names that other fetchers use lead to keys that exist.
func TestNamesOfOtherFetchersLeadToKeys(t *testing.T) {
	for _, name := range strings.Fields(`host username passwordeval ssl tls_trust_file sslfingerprint path command
		delete_after max_message_size fetchlimit`) {
		if key := otherName(name); !slices.Contains(names(fieldsOf(reflect.TypeFor[Account]())), key) {
			t.Errorf("%s: %q", name, key)
		}
	}
}

func TestPathsAreExpanded(t *testing.T) {
	t.Setenv("HOME", "/home/me")
	t.Setenv("DIR", "/srv/$HOME")
	t.Setenv("EMPTY", "")
	for path, want := range map[string]string{
		"~": "/home/me", "~/": "/home/me", "~/Mail//x/": "/home/me/Mail/x", "/a/../b": "/b", "x/y": "/etc/popfetch/x/y", "./x": "/etc/popfetch/x",
		"$HOME/x": "/home/me/x", "${HOME}x": "/home/mex", "/c$$/d": "/c$/d", "$DIR/x": "/srv/$HOME/x", "/a~b": "/a~b", "/{account}": "/{account}",
	} {
		if got, err := expandPath(path, "/etc/popfetch"); got != want || err != nil {
			t.Errorf("%s: %q, %v", path, got, err)
		}
	}
	for path, want := range map[string]string{
		"": "empty", "~bob/x": `"~bob" is not expanded`, "/x/$NO_SUCH_VAR": "$NO_SUCH_VAR is not set", "$EMPTY/x": "$EMPTY is empty",
		"/x$": "no variable name", "/$/": "no variable name", "/${HOME": "no variable name", "/${}": "no variable name", "/${A-b}": "no variable name",
		"/$1": "no variable name", "/a\x1b[0m": "control characters", "/\xff": "not UTF-8",
	} {
		if got, err := expandPath(path, "/"); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q, %v", path, got, err)
		}
	}
}

func TestDefaultPathsFollowTheEnvironment(t *testing.T) {
	home := t.TempDir()
	t.Setenv("HOME", home)
	for _, x := range []struct{ config, state, service, wantConfig, wantState string }{
		{"", "", "", home + "/.config", home + "/.local/state/popfetch"},
		{"relative", "relative", "relative", home + "/.config", home + "/.local/state/popfetch"},
		{"/x", "/y", "", "/x", "/y/popfetch"},
		{"/x", "/y", "/var/lib/popfetch:/var/lib/other", "/x", "/var/lib/popfetch"},
	} {
		t.Setenv("XDG_CONFIG_HOME", x.config)
		t.Setenv("XDG_STATE_HOME", x.state)
		t.Setenv("STATE_DIRECTORY", x.service)
		if got := DefaultPath(); got != x.wantConfig+"/popfetch/config.toml" && got != systemFile {
			t.Errorf("configuration: %s", got)
		}
		if got := OwnPath(); got != x.wantConfig+"/popfetch/config.toml" {
			t.Errorf("the user's own configuration: %s", got)
		}
		if got, err := DefaultStatePath(); got != x.wantState+"/state.db" || err != nil {
			t.Errorf("state: %s, %v", got, err)
		}
	}
}

// A service may have no HOME.
func TestHomeIsFoundWithoutHOME(t *testing.T) {
	u, err := user.Current()
	if err != nil {
		t.Fatal(err)
	}
	for _, home := range []string{"", "relative"} {
		t.Setenv("HOME", home)
		if got, err := expandPath("~/x", "/"); got != strings.TrimSuffix(u.HomeDir, "/")+"/x" || err != nil {
			t.Errorf("HOME=%s: %q, %v", home, got, err)
		}
	}
}
