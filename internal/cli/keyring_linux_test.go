package cli_test

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The real Secret Service of a desktop, on a bus and with a keyring of its own.
func TestPasswordInTheKeyringOfADesktop(t *testing.T) {
	t.Parallel()
	needs(t, "dbus-run-session", "dbus")
	needs(t, "gnome-keyring-daemon", "gnome-keyring")
	s := clearServer(t, small(1)...)
	r := newUserHome(t, strings.Replace(account("work", s, "keyring = true"), fmt.Sprintf("password = %q\n", secret), "", 1))
	desktop := func(commands string) string {
		// Without this the daemon asks in a window for the password of a new keyring.
		const unlock = "echo desktop | gnome-keyring-daemon --unlock --components=secrets >/dev/null 2>&1; "
		return "export XDG_RUNTIME_DIR=$HOME XDG_DATA_HOME=$HOME/share; exec dbus-run-session -- sh -c '" + unlock + commands + "'"
	}
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
