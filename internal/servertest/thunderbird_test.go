//go:build linux && interop

package servertest

import (
	"bytes"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"popfetch/internal/dovecottest"
)

const thunderbirdUser = "alice"

// thunderbirdScript has Thunderbird know the password, and quit once there is a certain file: it
// writes its settings when it quits. It is a configuration of an administrator, which may run code.
const thunderbirdScript = `// The first line is not read.
Services.obs.addObserver(function () {
  const Login = Components.Constructor("@mozilla.org/login-manager/loginInfo;1", "nsILoginInfo", "init");
  const server = "mailbox://127.0.0.1";
  Services.logins.addLoginAsync(new Login(server, null, server, "%s", "%s", "", ""));
}, "final-ui-startup");
const enough = Components.classes["@mozilla.org/file/local;1"].createInstance(Components.interfaces.nsIFile);
enough.initWithPath("%s");
const timer = Components.classes["@mozilla.org/timer;1"].createInstance(Components.interfaces.nsITimer);
timer.initWithCallback(function () {
  if (enough.exists()) Services.startup.quit(Components.interfaces.nsIAppStartup.eForceQuit);
}, 100, Components.interfaces.nsITimer.TYPE_REPEATING_SLACK);
`

const thunderbirdLoadsScript = `pref("general.config.filename", "popfetch.cfg");
pref("general.config.obscure_value", 0);
pref("general.config.sandbox_enabled", false);
`

// thunderbirdSettings is an account that fetches at the start, and leaves mail on the server.
const thunderbirdSettings = `user_pref("mail.account.account1.identities", "id1");
user_pref("mail.account.account1.server", "server1");
user_pref("mail.account.account2.server", "server2");
user_pref("mail.accountmanager.accounts", "account1,account2");
user_pref("mail.accountmanager.defaultaccount", "account1");
user_pref("mail.accountmanager.localfoldersserver", "server2");
user_pref("mail.identity.id1.fullName", "Alice");
user_pref("mail.identity.id1.useremail", "alice@example.org");
user_pref("mail.server.server1.authMethod", 3);
user_pref("mail.server.server1.check_new_mail", true);
user_pref("mail.server.server1.directory-rel", "[ProfD]Mail/127.0.0.1");
user_pref("mail.server.server1.download_on_biff", true);
user_pref("mail.server.server1.hostname", "127.0.0.1");
user_pref("mail.server.server1.leave_on_server", true);
user_pref("mail.server.server1.login_at_startup", true);
user_pref("mail.server.server1.name", "alice@example.org");
user_pref("mail.server.server1.port", %s);
user_pref("mail.server.server1.socketType", 0);
user_pref("mail.server.server1.type", "pop3");
user_pref("mail.server.server1.userName", "%s");
user_pref("mail.server.server2.directory-rel", "[ProfD]Mail/Local Folders");
user_pref("mail.server.server2.hostname", "Local Folders");
user_pref("mail.server.server2.type", "none");
user_pref("mail.server.server2.userName", "nobody");
`

// goldenThunderbird holds the files that TestInteropThunderbird writes anew with
// POPFETCH_GOLDEN=1.
const goldenThunderbird = "../peer/testdata/thunderbird"

// TestInteropThunderbird has the real Thunderbird fetch five messages and leave them on the
// server. popfetch takes over, and fetches the two that come then.
func TestInteropThunderbird(t *testing.T) {
	if reason := Missing() + dovecottest.Missing(); reason != "" {
		t.Fatal(reason)
	}
	d, err := dovecottest.Start(dovecottest.Options{})
	must(t, err)
	defer d.Close()
	_, err = d.AddUser(thunderbirdUser)
	must(t, err)
	deliver := func(from, to int) {
		for n := from; n <= to; n++ {
			text := fmt.Appendf(nil, "From: bob@example.org\nSubject: %d\nDate: Mon, 01 Jun 2026 09:00:%02[1]d +0000\nMessage-ID: <%[1]d@example.org>\n\nbody\n", n)
			must(t, d.Deliver(thunderbirdUser, fmt.Sprintf("17000000%02d.M1P1.host", n), text))
		}
	}
	deliver(1, 5)
	u := newThunderbirdUser(t, d.POP3)
	ids := u.fetch(t, 5)
	if os.Getenv("POPFETCH_GOLDEN") != "" {
		u.writeGolden(t)
	}
	sameForm(t, ids)

	deliver(6, 7)
	bin := filepath.Join(u.home, "popfetch")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "popfetch").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	// Thunderbird has encrypted the password.
	u.write(t, ".netrc", fmt.Sprintf("machine 127.0.0.1 login %s password %s\n", thunderbirdUser, dovecottest.Password))
	for _, args := range [][]string{{"import", "thunderbird"}, {"--once"}} {
		cmd := exec.Command(bin, args...)
		cmd.Env = []string{"HOME=" + u.home, "PATH=" + os.Getenv("PATH")}
		if out, err := cmd.CombinedOutput(); err != nil {
			t.Fatalf("popfetch %s: %v\n%s", args, err, out)
		}
	}
	got, err := filepath.Glob(filepath.Join(u.home, "Mail/alice@example.org/new/*"))
	must(t, err)
	if len(got) != 2 {
		t.Errorf("popfetch has fetched %d messages, want the 2 new ones", len(got))
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// thunderbirdHome is the home directory of a user of Thunderbird.
type thunderbirdHome struct{ home, profile string }

// newThunderbirdUser makes one with an account at a server, removed with the test.
func newThunderbirdUser(t *testing.T, server string) *thunderbirdHome {
	t.Helper()
	host, port, err := net.SplitHostPort(server)
	must(t, err)
	if host != "127.0.0.1" { // the settings have it
		t.Fatalf("the server is at %s", host)
	}
	home, err := os.MkdirTemp("", "thunderbird")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(home) })
	u := &thunderbirdHome{home, filepath.Join(home, ".thunderbird/x.default")}
	must(t, os.MkdirAll(u.profile, 0o700))
	u.write(t, ".thunderbird/profiles.ini", "[Profile0]\nName=default\nIsRelative=1\nPath=x.default\nDefault=1\n")
	u.write(t, ".thunderbird/x.default/prefs.js", fmt.Sprintf(thunderbirdSettings, port, thunderbirdUser))
	return u
}

func (u *thunderbirdHome) write(t *testing.T, name, text string) {
	t.Helper()
	must(t, os.WriteFile(filepath.Join(u.home, name), []byte(text), 0o600))
}

// fetch runs Thunderbird until it has fetched so many messages, and returns its popstate.dat.
func (u *thunderbirdHome) fetch(t *testing.T, messages int) string {
	t.Helper()
	packages, err := unpack("thunderbird")
	must(t, err)
	j, err := newJail(u.home, packages)
	must(t, err)
	defer j.close()
	enough := filepath.Join(u.home, "enough")
	for name, text := range map[string]string{
		"popfetch.cfg":              fmt.Sprintf(thunderbirdScript, thunderbirdUser, dovecottest.Password, enough),
		"defaults/pref/popfetch.js": thunderbirdLoadsScript,
	} {
		write := j.command("tee", "/usr/lib/thunderbird/"+name)
		write.Stdin = strings.NewReader(text)
		must(t, write.Run())
	}
	var said bytes.Buffer // read when Thunderbird has ended
	cmd := j.command("/usr/lib/thunderbird/thunderbird", "--headless", "--profile", u.profile)
	cmd.Env = append(cmd.Env, "HOME="+u.home)
	cmd.Stdout, cmd.Stderr = &said, &said
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	limit := time.After(3 * time.Minute)
	state := filepath.Join(u.profile, "Mail/127.0.0.1/popstate.dat")
	read := func() string {
		text, _ := os.ReadFile(state) // not there at first
		return string(text)
	}
	for strings.Count(read(), "\nk ") < messages {
		select {
		case err := <-ended:
			t.Fatalf("Thunderbird has ended: %v\n%s", err, &said)
		case <-limit:
			t.Fatalf("Thunderbird has not fetched all mail; its popstate.dat: %s", read())
		case <-time.After(50 * time.Millisecond):
		}
	}
	must(t, os.WriteFile(enough, nil, 0o600))
	select {
	case <-ended:
	case <-limit:
		t.Fatal("Thunderbird does not end")
	}
	return read()
}

// writeGolden writes the files for the tests of package peer: the settings of the accounts, with
// another home directory, and the unique-ids.
func (u *thunderbirdHome) writeGolden(t *testing.T) {
	t.Helper()
	settings, err := os.ReadFile(filepath.Join(u.profile, "prefs.js"))
	must(t, err)
	lines := slices.DeleteFunc(strings.SplitAfter(string(settings), "\n"), func(line string) bool {
		return !regexp.MustCompile(`^// Mozilla|^user_pref\("mail\.(account|identity|server)`).MatchString(line)
	})
	text := strings.ReplaceAll(strings.Join(lines, ""), u.profile, "/home/me/.thunderbird/x.default")
	must(t, os.WriteFile(filepath.Join(goldenThunderbird, "prefs.js"), []byte(text), 0o644))
	ids, err := os.ReadFile(filepath.Join(u.profile, "Mail/127.0.0.1/popstate.dat"))
	must(t, err)
	must(t, os.WriteFile(filepath.Join(goldenThunderbird, "popstate.dat"), ids, 0o644))
}

// sameForm compares a popstate.dat with the one that the tests of package peer read.
func sameForm(t *testing.T, ids string) {
	t.Helper()
	golden, err := os.ReadFile(filepath.Join(goldenThunderbird, "popstate.dat"))
	if err != nil {
		t.Fatal(err)
	}
	form := func(text string) string {
		return regexp.MustCompile(`(?m)^(k) [0-9a-f]{16} [0-9]{10}$`).ReplaceAllString(text, "$1 ID TIME")
	}
	if got, want := form(ids), form(string(golden)); got != want {
		t.Errorf("popstate.dat has another form now:\n%s\nwant\n%s", got, want)
	}
}
