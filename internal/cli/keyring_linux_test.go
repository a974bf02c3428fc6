package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// sessionBus configures a bus that starts no service by itself. One that it started would
// outlive the bus at times, and hold the output of the session open for ever.
const sessionBus = `<busconfig><type>session</type><listen>unix:tmpdir=/tmp</listen>
<policy context="default"><allow send_destination="*" eavesdrop="true"/><allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
`

// desktopSession returns a shell command that runs others in a session of a desktop, with
// the Secret Service of GNOME and a keyring that is unlocked and outlives the session.
func desktopSession(r *userHome, commands string) string {
	r.t.Helper()
	needs(r.t, "dbus-run-session", "dbus")
	needs(r.t, "gnome-keyring-daemon", "gnome-keyring")
	must(r.t, os.WriteFile(r.dir+"/bus.conf", []byte(sessionBus), 0o600))
	const (
		// Without this the daemon asks in a window for the password of a new keyring.
		unlock = "echo desktop | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; "
		ready  = `until dbus-send --print-reply --dest=org.freedesktop.DBus / org.freedesktop.DBus.NameHasOwner string:org.freedesktop.secrets | grep -q true; do sleep 0.02; done; `
		// A daemon that has not noticed yet that its session is over must not be found.
		runtime = "export XDG_DATA_HOME=$HOME/share XDG_RUNTIME_DIR=$(mktemp -d $HOME/run.XXXXXX); "
	)
	return runtime + fmt.Sprintf("exec timeout --kill-after=1 %d dbus-run-session --config-file=$HOME/bus.conf -- sh -c '%s'", int(patience.Seconds()), unlock+ready+commands)
}

// The real Secret Service of a desktop, on a bus and with a keyring of its own.
func TestPasswordInTheKeyringOfADesktop(t *testing.T) {
	t.Parallel()
	s := clearServer(t, small(1)...)
	r := newUserHome(t, strings.Replace(account("work", s, "keyring = true"), fmt.Sprintf("password = %q\n", secret), "", 1))
	desktop := func(commands string) string { return desktopSession(r, commands) }
	e := r.exits(78, desktop("exec popfetch --once"))
	if !strings.Contains(e.stderr, "popfetch: work: password: keyring: there is no password for alice at 127.0.0.1 (run popfetch password set work)") {
		t.Errorf("it says %q", e.stderr)
	}
	if err := os.WriteFile(r.dir+"/typed", []byte(secret+"\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	r.exits(0, desktop("popfetch password set work <typed && popfetch check && exec popfetch --once"))
	r.exits(0, desktop("popfetch password remove work")) // the keyring outlives the session
	r.exits(78, desktop("exec popfetch --once"))

	e = r.exits(78, "unset DBUS_SESSION_BUS_ADDRESS; export XDG_RUNTIME_DIR=$HOME; exec popfetch --once")
	if !strings.Contains(e.stderr, "there is no session bus to reach a keyring by") {
		t.Errorf("it says %q", e.stderr)
	}
	for _, text := range []string{e.stderr, e.stdout} {
		if strings.Contains(text, secret) {
			t.Errorf("the password is in %q", text)
		}
	}
}

// init puts the password that was typed into the keyring.
func TestInitKeepsThePasswordInTheKeyring(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 2)
	n := newNewcomer(t, cert, s.Addr(), nil)
	must(t, os.WriteFile(n.dir+"/typed", []byte(secret+"\n"), 0o600))
	e := n.exits(0, desktopSession(n.userHome, "popinit init me@example.org --keyring <typed && exec popfetch --once"), n.env()...)
	n.private("config.toml", "keyring = true", "popfetch password set example changes it")
	if got := n.mail("example", "new"); got != 2 || strings.Contains(e.stdout+e.stderr, secret) {
		t.Errorf("%d messages; it says %s%s", got, e.stdout, e.stderr)
	}
	if _, err := os.Stat(n.file("example.password")); err == nil {
		t.Error("the password is in a file too")
	}

	n = newNewcomer(t, cert, s.Addr(), nil)
	e = n.popinit(78, secret, "me@example.org", "--keyring")
	if !strings.Contains(e.stderr, "there is no session bus to reach a keyring by") {
		t.Errorf("it says %s", e.stderr)
	}
	n.nothingWritten()
}
