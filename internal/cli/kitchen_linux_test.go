//go:build linux

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
func (k *kitchen) add(n int, field string) { k.addText(n, field, fmt.Sprint("body ", n)) }

// addText puts a message with a body into the mailbox on the server.
func (k *kitchen) addText(n int, field, body string) {
	text := fmt.Sprintf("From: bob@example.org\nTo: me@example.org\nSubject: message %d\nDate: Mon, 01 Jun 2026 09:00:0%d +0000\nMessage-ID: <%d@example.org>\n%s\n\n%s\n", n, n, n, field, body)
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

// haveProgramsOf makes programs of the names that a configuration runs.
func (k *kitchen) haveProgramsOf(config string) {
	for _, m := range regexp.MustCompile(`(?:command|mda|on_\w+) = \["([^"/]+)"`).FindAllStringSubmatch(config, -1) {
		k.program(m[1], "exit 0")
	}
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

// readmeConfigurations returns one for each key of an account, or of the top of the file, that a
// block of README.md shows, and one for each block with a table.
func readmeConfigurations(t *testing.T) (configs []string) {
	text, err := os.ReadFile("../../README.md")
	must(t, err)
	const account = "[account.work]\nserver = \"pop.example.org\"\nuser = \"me@example.org\"\n"
	const maildir = "maildir = \"~/Mail\"\n"
	key := regexp.MustCompile(`^([a-z_]+) = `)
	for _, block := range regexp.MustCompile(`(?m)(?:^    .*\n+)+`).FindAllString(string(text), -1) {
		table := ""
		for line := range strings.Lines(block) {
			line = strings.TrimSpace(line) + "\n"
			name := ""
			if m := key.FindStringSubmatch(line); m != nil {
				name = m[1]
			}
			switch {
			case table != "" || strings.HasPrefix(line, "[account."):
				table += line
			case name == "include" || strings.HasPrefix(name, "on_") || strings.HasPrefix(name, "metrics_"):
				configs = append(configs, line+account+maildir)
			case name == "recipient":
				configs = append(configs, account+"lmtp = \"localhost:24\"\n"+line)
			case name == "keep":
				configs = append(configs, account+maildir+line)
			case name != "":
				configs = append(configs, account+line)
			}
		}
		switch {
		case strings.Contains(table, ".smtp]"):
			configs = append(configs, account+"recipient = \"me@example.org\"\n"+table)
		case strings.Contains(table, ".imap]"):
			configs = append(configs, account+table)
		case table != "":
			configs = append(configs, table)
		}
	}
	return configs
}

// readerPatience is how long a test may use a mail reader on a busy machine.
const readerPatience = 2 * time.Minute

// reader is a mail reader on a terminal.
type reader struct {
	t     *testing.T
	keys  *os.File
	shown string // that await has not passed yet
}

// read starts a mail reader by a shell command. It ends with the test, or after readerPatience.
func (k *kitchen) read(shell string) *reader {
	k.t.Helper()
	user, terminal := ptytest.Open(k.t, 100)
	cmd := k.command("exec "+shell, "TERM=xterm", "LC_ALL=C.UTF-8", "PATH="+filepath.Join(k.dir, "bin")+":"+os.Getenv("PATH"))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	must(k.t, cmd.Start())
	terminal.Close() // what reads the screen ends with the program
	late := time.AfterFunc(readerPatience, func() { cmd.Process.Kill() })
	k.t.Cleanup(func() {
		late.Stop()
		cmd.Process.Kill()
		cmd.Wait()
	})
	return &reader{t: k.t, keys: user}
}

func (r *reader) types(keys string) {
	r.t.Helper()
	_, err := r.keys.WriteString(keys)
	must(r.t, err)
}

// await waits until the screen shows a text, after what it waited for before.
func (r *reader) await(want string) {
	r.t.Helper()
	buf := make([]byte, 4096)
	for !strings.Contains(r.shown, want) {
		n, err := r.keys.Read(buf)
		if err != nil {
			r.t.Fatalf("waiting for %q: %v; the terminal shows %q", want, err, r.shown)
		}
		r.shown += string(buf[:n])
	}
	_, r.shown, _ = strings.Cut(r.shown, want)
}
