package peer

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"testing"

	"popfetch/internal/config"
)

// profile is a profile of Thunderbird below the home directory, with other files.
func profile(t *testing.T, prefs string, others files) (*Moved, error) {
	t.Helper()
	t.Setenv("HOME", "/home/me")
	c, err := config.New()
	if err != nil {
		t.Fatal(err)
	}
	all := files{
		"/home/me/.thunderbird/profiles.ini":       "[Profile1]\nName=old\nIsRelative=1\nPath=old.default\nDefault=1\n\n[Profile0]\nPath=x.default\n[InstallAB]\nDefault=x.default\nLocked=1\n",
		"/home/me/.thunderbird/x.default/prefs.js": prefs,
	}
	for path, text := range others {
		all["/home/me/.thunderbird/x.default/"+path] = text
	}
	return Thunderbird(all.at(), "/home/me/.thunderbird/profiles.ini", c)
}

// TestInteropThunderbird of package servertest has written the files: Thunderbird 153.7.0esr has
// fetched five messages from a Dovecot and left them there.
func TestThunderbirdFilesOfTheRealProgram(t *testing.T) {
	prefs, err := os.ReadFile("testdata/thunderbird/prefs.js")
	if err != nil {
		t.Fatal(err)
	}
	popstate, err := os.ReadFile("testdata/thunderbird/popstate.dat")
	if err != nil {
		t.Fatal(err)
	}
	port := regexp.MustCompile(`"mail.server.server1.port", ([0-9]+)`).FindSubmatch(prefs)
	lines := regexp.MustCompile(`(?m)^k ([0-9a-f]{16}) ([0-9]{10})$`).FindAllSubmatch(popstate, -1)
	if port == nil || len(lines) != 5 {
		t.Fatalf("not what Thunderbird writes:\n%s\n%s", prefs, popstate)
	}
	m, err := profile(t, string(prefs), files{"Mail/127.0.0.1/popstate.dat": string(popstate)})
	if err != nil {
		t.Fatal(err)
	}
	want := "[account.\"alice@example.org\"]\nserver = \"127.0.0.1:" + string(port[1]) + "\"\nuser = \"alice\"\ntls = \"none\"\nmaildir = \"/home/me/Mail/alice@example.org\"\nkeep = true\n"
	if got := written(t, m); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	remarked(t, m, "delivery: Thunderbird keeps mail in folders of its own", "password: Thunderbird encrypts it")
	got := ids(m, "alice@example.org")
	if len(got) != 5 {
		t.Fatalf("%q", got)
	}
	for i, line := range lines {
		if when := fmt.Sprint(m.Seen[0].IDs[i].Time.Unix()); got[i] != string(line[1]) || when != string(line[2]) {
			t.Errorf("%s of %s, want %s", got[i], when, line[0])
		}
	}
}

// prefsOf makes a prefs.js with one server.
func prefsOf(lines ...string) string {
	text := "// Mozilla User Preferences\nuser_pref(\"mail.accountmanager.accounts\", \"account1\");\nuser_pref(\"mail.account.account1.server\", \"server1\");\n"
	for _, l := range lines {
		name, value, _ := strings.Cut(l, " ")
		text += "user_pref(\"mail.server.server1." + name + "\", " + value + ");\n"
	}
	return text
}

func TestThunderbirdSettingsAreCarriedOver(t *testing.T) {
	for want, lines := range map[string][]string{
		"server = \"pop.example.org\"\nuser = \"me\"\nmaildir = \"/home/me/Mail/me\"\nkeep = false\n": {`socketType 3`},
		"server = \"pop.example.org:1100\"\nuser = \"me\"\ntls = \"starttls\"\nauth = [\"cram-md5\", \"apop\"]\nmaildir = \"/home/me/Mail/me\"\nkeep = \"7d\"\n": {
			`socketType 2`, `port 1100`, `authMethod 4`, `leave_on_server true`, `delete_by_age_from_server true`,
		},
		"server = \"pop.example.org\"\nuser = \"me\"\nmaildir = \"/home/me/Mail/work\"\nkeep = \"14d\"\nmax_size = \"50KiB\"\n": {
			`socketType 3`, `name "work"`, `leave_on_server true`, `delete_by_age_from_server true`, `num_days_to_leave_on_server 14`, `limit_offline_message_size true`, `max_size 50`,
		},
		"server = \"new.example.org\"\nuser = \"her\"\nauth = [\"gssapi\"]\nmaildir = \"/home/me/Mail/her\"\nkeep = true\n": {
			`socketType 3`, `realhostname "new.example.org"`, `realuserName "her"`, `leave_on_server true`, `authMethod 5`, `delete_mail_left_on_server true`,
		},
	} {
		m, err := profile(t, prefsOf(append([]string{`type "pop3"`, `hostname "pop.example.org"`, `userName "me"`}, lines...)...), nil)
		if err != nil {
			t.Fatal(err)
		}
		if _, got, _ := strings.Cut(written(t, m), "]\n"); got != want {
			t.Errorf("%q: got\n%s\nwant\n%s", lines, got, want)
		}
	}
}

func TestThunderbirdAccountsThatCannotBeCarriedAreNamed(t *testing.T) {
	m, err := profile(t, prefsOf(`type "imap"`, `hostname "h"`, `userName "u"`, `name "work"`), nil)
	if err != nil {
		t.Fatal(err)
	}
	remarked(t, m, "prefs.js:4: account work: left out: popfetch fetches by POP3 alone")
	m, err = profile(t, prefsOf(`type "pop3"`, `hostname "h"`, `userName "a b/c"`, `authMethod 10`, `socketType 3`), nil)
	if err != nil {
		t.Fatal(err)
	}
	remarked(t, m, "its name is a-b-c now", "delivery", "prefs.js:7: account a-b-c: Thunderbird signs in by OAuth 2.0", "the account has no directory; ")
}

func TestThunderbirdProfileWithErrorsIsRefused(t *testing.T) {
	for prefs, want := range map[string]string{
		"":                                   "prefs.js: no account is set up here",
		"user_pref(\"mail.server.x\n":        "prefs.js:1: this is not a setting",
		"\nuser_pref(\"mail.server.x\", x);": "prefs.js:2: this is not a setting",
	} {
		if _, err := profile(t, prefs, nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", prefs, err)
		}
	}
	for ini, want := range map[string]string{"[General]\nVersion=2\n": "profiles.ini: no profile is named here", "x": "profiles.ini:1: "} {
		if _, err := Thunderbird(files{"/t/profiles.ini": ini}.at(), "/t/profiles.ini", nil); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", ini, err)
		}
	}
	if _, err := Thunderbird(files{}.at(), "/none", nil); err == nil || !strings.HasPrefix(err.Error(), "/none: ") {
		t.Error(err)
	}
}

func TestThunderbirdIDsThatAreDamagedOrMissingAreNamed(t *testing.T) {
	const head = "# POP3 State File\n# This is a generated file!  Do not edit.\n\n*POP.example.org me\n"
	for text, want := range map[string]struct {
		remark string
		ids    int
	}{
		head + "k a 1\nd b 2\nx c 3":    {"popstate.dat:7: ", 2},
		head + "k a 1\nb b 2\nf c":      {"popstate.dat: unique-ids of account me: 2 messages", 1},
		head + "k a soon":               {"popstate.dat:5: ", 1},
		"*other me\nk a 1\n":            {"popstate.dat: unique-ids of account me: the file has none", 0},
		"*pop.example.org you\nk a 1\n": {"popstate.dat: unique-ids of account me: the file has none", 0},
		"":                              {"popstate.dat: unique-ids of account me: the file has none", 0},
		"-":                             {"popstate.dat: unique-ids of account me: there is no such file", 0},
		"\x00\x01":                      {"popstate.dat:1: ", 0},
	} {
		others := files{"Mail/x/popstate.dat": text}
		if text == "-" {
			others = nil
		}
		m, err := profile(t, prefsOf(`type "pop3"`, `hostname "pop.example.org"`, `userName "me"`, `directory-rel "[ProfD]Mail/x"`), others)
		if err != nil {
			t.Fatal(err)
		}
		if last := m.Remarks[len(m.Remarks)-1].String(); !strings.Contains(last, want.remark) {
			t.Errorf("%q: %s", text, last)
		}
		if n := len(ids(m, "me")); n != want.ids {
			t.Errorf("%q: %d ids", text, n)
		}
	}
}

func TestThunderbirdProfilesOfSnapAndFlatpak(t *testing.T) {
	got := strings.Join(ThunderbirdFiles("/home/me", ""), " ")
	for _, want := range []string{"/home/me/.thunderbird/profiles.ini", "/home/me/snap/thunderbird/", "/home/me/.var/app/org.mozilla.Thunderbird/"} {
		if !strings.Contains(got, want) {
			t.Errorf("%s has no %s", got, want)
		}
	}
}

func FuzzThunderbird(f *testing.F) {
	f.Add(prefsOf(`type "pop3"`, `hostname "h"`, `userName "u"`, `directory-rel "[ProfD]Mail/x"`), "*h u\nk x 1\nd y 2\nb z 3")
	f.Fuzz(func(t *testing.T, rc, ids string) { fuzz(t, Thunderbird, rc, ids) })
}
