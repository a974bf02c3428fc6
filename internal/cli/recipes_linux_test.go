package cli_test

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/ptytest"
)

// section is one of docs/recipes.md.
type section struct {
	files []recipeFile
	shell []string // the blocks of commands
}

// recipeFile is a block that belongs into a file.
type recipeFile struct{ name, text string }

// recipes reads docs/recipes.md: a line with a name in backquotes and a colon says which file
// the block below it goes into.
func recipes(t *testing.T) map[string]section {
	t.Helper()
	doc, err := os.ReadFile("../../docs/recipes.md")
	must(t, err)
	block := regexp.MustCompile("(?ms)(?:^`([^`\n]+)`:\n\n)?^```(\\w+)\n(.*?)^```$")
	all := make(map[string]section)
	for _, part := range strings.Split(string(doc), "\n## ")[1:] {
		title, text, _ := strings.Cut(part, "\n")
		var r section
		for _, m := range block.FindAllStringSubmatch(text, -1) {
			switch {
			case m[2] == "sh":
				r.shell = append(r.shell, m[3])
			case m[1] == "":
				t.Errorf("%s: a block of %s without the name of its file", title, m[2])
			default:
				r.files = append(r.files, recipeFile{m[1], m[3]})
			}
		}
		all[title] = r
	}
	return all
}

// kitchen is the home directory of a user who follows a recipe, beside a server with mail.
type kitchen struct {
	*userHome
	server   *pop3test.Server
	maildrop *pop3test.Maildrop
}

// cook writes the files of a recipe into a new home directory. pop.example.org there is a server
// with three messages, one of them from the mailing list that the recipes sort.
func cook(t *testing.T, r section) *kitchen {
	t.Helper()
	k := &kitchen{userHome: newUserHome(t, ""), maildrop: pop3test.NewMaildrop()}
	for i, field := range []string{"X-Number: 1", "List-Id: <golang.example.org>", "X-Number: 3"} {
		k.add(i+1, field)
	}
	k.server = &pop3test.Server{Users: map[string]*pop3test.User{"me@example.org": {Password: secret, Maildrop: k.maildrop}}}
	must(t, k.server.Start())
	t.Cleanup(func() { k.server.Close() })
	k.write("ca.pem", string(k.server.CertPEM()), 0o600)
	k.program("pass", `echo "`+secret+`"`)
	for _, f := range r.files {
		name := strings.TrimPrefix(f.name, "~/")
		if f.name == "/etc/popfetch/config.toml" || f.name == "config.toml" {
			name = ".config/popfetch/config.toml"
		}
		if strings.HasPrefix(name, "/") || strings.Contains(name, " ") {
			continue // of another program, or no file
		}
		k.write(name, k.local(f.text), 0o600)
	}
	return k
}

// local is a configuration with the test's server, and its files in the home directory.
func (k *kitchen) local(text string) string {
	return strings.NewReplacer(
		`server = "pop.example.org"`, fmt.Sprintf("server = %q\ntls_ca_file = \"~/ca.pem\"", k.server.Addr()),
		"/var/lib/popfetch/", "~/",
	).Replace(text)
}

// add puts a message into the mailbox on the server.
func (k *kitchen) add(n int, field string) {
	text := fmt.Sprintf("From: bob@example.org\nTo: me@example.org\nSubject: message %d\nDate: Mon, 01 Jun 2026 09:00:0%d +0000\nMessage-ID: <%d@example.org>\n%s\n\nbody %d\n", n, n, n, field, n)
	k.maildrop.Add(pop3test.Message{UID: fmt.Sprint("uid", n), Raw: pop3test.Text(text)})
}

func (k *kitchen) write(name, text string, mode fs.FileMode) {
	k.t.Helper()
	path := filepath.Join(k.dir, name)
	must(k.t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o700), os.WriteFile(path, []byte(text), mode)))
}

// program makes a program that the user has.
func (k *kitchen) program(name, commands string) {
	k.write("bin/"+name, "#!/bin/sh\n"+commands+"\n", 0o700)
}

// inHome has a program read its file in the home directory of the test: it would take that
// of the user from the password database.
func (k *kitchen) inHome(name, variables, file string) {
	k.t.Helper()
	path, err := exec.LookPath(name)
	must(k.t, err)
	k.program(name, fmt.Sprintf(`cd && exec %s "$@" %s"$HOME/%s"`, path, variables, file))
}

// does runs a shell command, which must exit with 0, with more of an environment.
func (k *kitchen) does(shell string, env ...string) string {
	k.t.Helper()
	e := k.exits(0, shell, append(env, "PATH="+filepath.Join(k.dir, "bin")+":"+os.Getenv("PATH"), "USER=me", "LOGNAME=me")...)
	return e.stdout + e.stderr
}

// holds fails the test unless there are so many new messages in a Maildir.
func (k *kitchen) holds(maildir string, want int) {
	k.t.Helper()
	if got, _ := filepath.Glob(filepath.Join(k.dir, maildir, "new", "*")); len(got) != want {
		k.t.Errorf("%s has %d messages, want %d", maildir, len(got), want)
	}
}

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
			for _, m := range regexp.MustCompile(`(?:command|mda|on_new_mail) = \["([^"/]+)"`).FindAllStringSubmatch(f.text, -1) {
				k.program(m[1], "exit 0")
			}
			if out := k.does("popfetch config check"); !strings.Contains(out, ": ok, ") || strings.Contains(out, "warning") {
				t.Errorf("%s: %s", title, out)
			}
		}
	}
	if seen < 15 {
		t.Errorf("only %d configurations were seen", seen)
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

func TestRecipesMaildropAndSpamAssassin(t *testing.T) {
	needs(t, "maildrop", "maildrop")
	for title, other := range map[string]string{"maildrop": "Mail/golang", "SpamAssassin": "Mail/junk"} {
		r := recipes(t)[title]
		k := cook(t, r)
		for _, f := range r.files { // maildrop has a PATH of its own
			if f.name == "~/.mailfilter" {
				k.write(".mailfilter", strings.Replace(f.text, `"spamc"`, `"`+filepath.Join(k.dir, "bin/spamc")+`"`, 1), 0o600)
			}
		}
		k.inHome("maildrop", "", ".mailfilter")
		k.program("spamc", "sed 's/^List-Id/X-Spam-Flag: YES\\n&/'")
		k.does(strings.Join(r.shell, "\n"))
		k.does("popfetch --once")
		k.holds("Mail/inbox", 2)
		k.holds(other, 1)
	}
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
	k := cook(t, recipes(t)["Dovecot, LMTP and Sieve"])
	k.does("sievec -c /dev/null .dovecot.sieve compiled")
}

func TestRecipesMuttAndNeoMutt(t *testing.T) {
	for title, program := range map[string]string{"mutt": "mutt", "NeoMutt": "neomutt"} {
		t.Run(title, func(t *testing.T) {
			needs(t, program, program)
			all := recipes(t)
			r := all[title]
			r.files = append(r.files, all["mutt"].files[0]) // the configuration
			k := cook(t, r)
			k.does("popfetch --once")
			k.add(4, "X-Number: 4")
			user, terminal := ptytest.Open(t, 100)
			mutt := k.command(program+" -F ."+program+"rc", "TERM=xterm", "LC_ALL=C.UTF-8", "PATH="+filepath.Join(k.dir, "bin")+":"+os.Getenv("PATH"))
			mutt.Stdin, mutt.Stdout, mutt.Stderr = terminal, terminal, terminal
			mutt.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
			must(t, mutt.Start())
			terminal.Close()
			late := time.AfterFunc(time.Minute, func() { mutt.Process.Kill() })
			defer func() {
				late.Stop()
				mutt.Process.Kill()
				mutt.Wait()
			}()
			await := screenOf(t, user)
			await("message 3")
			user.WriteString("G")
			await("Press any key")
			// NeoMutt compares times, and a person is slower than a test.
			later := time.Now().Add(2 * time.Second)
			must(t, os.Chtimes(filepath.Join(k.dir, "Mail/work/new"), later, later))
			user.WriteString(" ")
			await("message 4")
		})
	}
}

// screenOf returns a function that waits until a program shows a text on a terminal.
func screenOf(t *testing.T, user *os.File) (await func(want string)) {
	shown, buf := "", make([]byte, 4096)
	return func(want string) {
		t.Helper()
		for !strings.Contains(shown, want) {
			n, err := user.Read(buf)
			if err != nil {
				t.Fatalf("waiting for %q: %v; the terminal shows %q", want, err, shown)
			}
			shown += string(buf[:n])
		}
		_, shown, _ = strings.Cut(shown, want)
	}
}
