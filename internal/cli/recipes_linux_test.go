//go:build linux

package cli_test

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// Every configuration is one that popfetch takes, whatever its programs are.
func TestConfigurationOfEachRecipeIsValid(t *testing.T) {
	seen := 0
	for title, r := range recipes(t) {
		for _, f := range r.files {
			if !strings.HasSuffix(f.name, ".toml") {
				continue
			}
			seen++
			k := cook(t, section{files: []recipeFile{f}})
			k.haveProgramsOf(f.text)
			if out := k.does("popfetch config check"); !strings.Contains(out, ": ok, ") || strings.Contains(out, "warning") {
				t.Errorf("%s: %s", title, out)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d configurations were seen", seen)
	}
}

func TestConfigurationsOfREADMEAreValid(t *testing.T) {
	configs := readmeConfigurations(t)
	for _, config := range configs {
		config = strings.Replace(config, "/usr/lib/dovecot/", "", 1)
		k := cook(t, section{files: []recipeFile{{"~/.config/popfetch/config.toml", config}}})
		k.haveProgramsOf(config)
		k.does("mkdir .config/popfetch/conf.d && popfetch config check")
	}
	if len(configs) < 20 {
		t.Errorf("only %d configurations were found", len(configs))
	}
}

func TestRecipesNameWhatExists(t *testing.T) {
	all := recipes(t)
	text, err := os.ReadFile("../../docs/recipes.md")
	must(t, err)
	for _, unit := range regexp.MustCompile(`systemctl (?:--user )?(?:enable --now|status|reload) (\S+)`).FindAllStringSubmatch(string(text), -1) {
		if _, err := os.Stat("../../contrib/systemd/" + unit[1]); err != nil {
			t.Error(err)
		}
	}
	for _, m := range regexp.MustCompile(`\]\(#([^)]*)\)`).FindAllStringSubmatch(string(text), -1) {
		found := false
		for title := range all {
			anchor := strings.ReplaceAll(strings.ReplaceAll(strings.ToLower(title), ",", ""), " ", "-")
			found = found || anchor == m[1]
		}
		if !found {
			t.Errorf("there is no section #%s", m[1])
		}
	}
	for _, fetcher := range []string{"fetchmail", "mpop", "getmail", "fdm", "thunderbird"} {
		if !strings.Contains(string(text), "\npopfetch import "+fetcher+"\n") {
			t.Errorf("no recipe leaves %s", fetcher)
		}
	}
}

func TestRecipeCron(t *testing.T) {
	r := recipes(t)["cron"]
	k := cook(t, r)
	for _, f := range r.files {
		if f.name != "crontab -e" {
			continue
		}
		command := strings.TrimSpace(strings.Join(strings.Fields(f.text)[5:], " "))
		command = strings.Replace(command, "/usr/local/bin/popfetch", "popfetch", 1)
		for range 2 {
			if out := k.does(command); out != "" {
				t.Errorf("cron would mail %q", out)
			}
		}
		k.holds("Mail/work", 3)
		return
	}
	t.Error("there is no line for crontab")
}

// The credential has the name that LoadCredential= and the container give it.
func TestRecipesWithCredentials(t *testing.T) {
	for title, name := range map[string]string{"System service": "mail_work", "Container": "work"} {
		k := cook(t, recipes(t)[title])
		k.write("secrets/"+name, secret+"\n", 0o400)
		config := filepath.Join(k.dir, ".config/popfetch/config.toml")
		text, err := os.ReadFile(config)
		must(t, err)
		// Another test delivers by LMTP.
		must(t, os.WriteFile(config, []byte(strings.NewReplacer("recipient", "# recipient", `lmtp = "unix:/run/dovecot/lmtp"`, `maildir = "~/Mail/work"`).Replace(string(text))), 0o600))
		k.does("popfetch --once", "CREDENTIALS_DIRECTORY="+filepath.Join(k.dir, "secrets"))
		k.holds("Mail/work", 3)
	}
}

func TestRecipeProcmail(t *testing.T) {
	needs(t, "procmail", "procmail")
	k := cook(t, recipes(t)["procmail"])
	k.inHome("procmail", `"HOME=$HOME" `, ".procmailrc")
	k.does("mkdir -m 700 Mail && popfetch --once")
	k.holds("Mail/inbox", 2)
	k.holds("Mail/golang", 1)
}

func TestRecipeMaildrop(t *testing.T) {
	needs(t, "maildrop", "maildrop")
	r := recipes(t)["maildrop"]
	k := cook(t, r)
	k.inHome("maildrop", "", ".mailfilter")
	k.does(strings.Join(r.shell, "\n"))
	k.does("popfetch --once")
	k.holds("Mail/inbox", 2)
	k.holds("Mail/golang", 1)
}

func TestRecipeNotmuch(t *testing.T) {
	needs(t, "notmuch", "notmuch")
	k := cook(t, recipes(t)["notmuch"])
	k.does("mkdir -m 700 Mail")
	if out := k.does("popfetch --once"); out != "" {
		t.Errorf("it says %q", out)
	}
	if got := k.does("notmuch count tag:inbox and tag:unread"); got != "3\n" {
		t.Errorf("notmuch has indexed %q messages", got)
	}
}

func TestRecipeSieve(t *testing.T) {
	needs(t, "sievec", "dovecot-sieve")
	r := recipes(t)["Dovecot, LMTP and Sieve"]
	k := cook(t, r)
	k.does("sievec -c /dev/null .dovecot.sieve compiled")
	for _, f := range r.files {
		if f.name == "/etc/dovecot/local.conf" {
			k.write("dovecot.conf", f.text, 0o600)
		}
	}
	if out := k.does("doveconf -c dovecot.conf -n protocols service/lmtp protocol/lmtp"); !strings.Contains(out, "lmtp") {
		t.Errorf("Dovecot reads %s", out)
	}
}

// readerRecipe returns the recipe of a mail reader, with the configuration of popfetch that it
// shares with mutt.
func readerRecipe(t *testing.T, title string) section {
	t.Helper()
	all := recipes(t)
	r := all[title]
	r.files = append(r.files, all["mutt"].files[0])
	return r
}

func TestRecipesMuttAndNeoMutt(t *testing.T) {
	for title, program := range map[string]string{"mutt": "mutt", "NeoMutt": "neomutt"} {
		t.Run(title, func(t *testing.T) {
			needs(t, program, program)
			k := cook(t, readerRecipe(t, title))
			k.does("popfetch --once")
			k.add(4, "X-Number: 4")
			m := k.read(program + " -F ." + program + "rc")
			m.await("message 3")
			m.types("G")
			m.await("Press any key")
			// NeoMutt compares times, and a person is slower than a test.
			later := time.Now().Add(2 * time.Second)
			must(t, os.Chtimes(filepath.Join(k.dir, "Mail/work/new"), later, later))
			m.types(" ")
			m.await("message 4")
		})
	}
}

func TestRecipeAerc(t *testing.T) {
	needs(t, "aerc", "aerc")
	r := readerRecipe(t, "aerc")
	k := cook(t, r)
	must(t, os.Chmod(filepath.Join(k.dir, ".config/aerc/accounts.conf"), 0o644))
	k.does(strings.Join(r.shell, "\n") + "\npopfetch --once")
	m := k.read("aerc")
	m.await("message 3")
	// aerc draws what has changed alone, so this subject has no word of the others.
	k.maildrop.Add(pop3test.Message{UID: "uid4", Raw: pop3test.Text("From: bob@example.org\nSubject: quagga\nDate: Mon, 01 Jun 2026 09:00:04 +0000\n\nbody\n")})
	m.types(":check-mail\r")
	m.await("quagga")
}

func TestRecipeMu4e(t *testing.T) {
	needs(t, "mu", "maildir-utils")
	r := readerRecipe(t, "mu4e")
	k := cook(t, r)
	k.does("popfetch --once\n" + strings.Join(r.shell, "\n"))
	if got := k.does("mu find --fields 'm s' maildir:/work flag:new"); strings.Count(got, "/work message ") != 3 {
		t.Errorf("mu finds %q", got)
	}
	// What Emacs does with the file.
	for _, f := range r.files {
		if f.name != "~/.emacs.d/init.el" {
			continue
		}
		get := regexp.MustCompile(`mu4e-get-mail-command "([^"]+)"`).FindStringSubmatch(f.text)
		if get == nil {
			t.Fatalf("the file fetches no mail: %s", f.text)
		}
		k.add(4, "X-Number: 4")
		k.does(get[1] + " && mu index")
	}
	if got := k.does("mu find --fields s message 4"); got != "message 4\n" {
		t.Errorf("mu finds %q", got)
	}
}

// README.md leads somebody who has an address and a password to mail in mutt.
func TestFromInitToMailInMutt(t *testing.T) {
	needs(t, "mutt", "mutt")
	readme, err := os.ReadFile("../../README.md")
	must(t, err)
	rc := regexp.MustCompile(`(?m)(^    (set|macro) .*\n)+`).FindString(string(readme))
	k := cook(t, section{files: []recipeFile{{"~/.muttrc", rc}}})
	must(t, os.RemoveAll(filepath.Join(k.dir, ".config")))
	trust := "SSL_CERT_FILE=" + filepath.Join(k.dir, "ca.pem")
	shown := k.does("pass show mail/me | popfetch init me@example.org --server "+k.server.Addr(), trust)
	next := regexp.MustCompile(`(?m)^  (popfetch --once .*)$`).FindStringSubmatch(shown)
	if next == nil {
		t.Fatalf("init does not say how to fetch: %s", shown)
	}
	k.does(next[1], trust)
	k.read("mutt -F .muttrc").await("message 3")
}

// A message that fetchmail has fetched stays where it is; the others go where fetchmail would
// have put them.
func TestRecipeLeaveFetchmail(t *testing.T) {
	k := cook(t, section{})
	must(t, os.RemoveAll(filepath.Join(k.dir, ".config")))
	k.program("fetchmail", "exit 0")
	k.program("store", `cat >"$HOME/stored-$$"`)
	k.write(".fetchmailrc", fmt.Sprintf("poll 127.0.0.1 service %d proto pop3 uidl\n  user \"me@example.org\" password %q is me here\n  ssl sslcertfile %q keep\n  mda %q\n",
		k.server.Port(), secret, filepath.Join(k.dir, "ca.pem"), filepath.Join(k.dir, "bin/store")), 0o600)
	k.write(".fetchids", "me@example.org@127.0.0.1 uid2\n", 0o600)
	k.does(strings.Join(recipes(t)["Leave fetchmail"].shell, "\n"))
	stored, err := filepath.Glob(filepath.Join(k.dir, "stored-*"))
	must(t, err)
	if n := k.maildrop.Retrieved("uid2"); len(stored) != 2 || n != 0 {
		t.Errorf("%d messages were stored, and the old one was fetched %d times", len(stored), n)
	}
}
