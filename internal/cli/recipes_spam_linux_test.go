//go:build linux

package cli_test

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popfetch/internal/dovecottest"
	"popfetch/internal/servertest"
)

// spamTest is a text that every spam filter takes for spam.
const spamTest = "XJS*C4JDBQADN1.NSBN3*2IDNEN*GTUBE-STANDARD-ANTI-UBE-TEST-EMAIL*C.34X"

// serverPatience is how long a spam filter may take to start on a busy machine.
const serverPatience = 90 * time.Second

// awaitServer starts a server and returns once its probe succeeds. The server ends with the
// test.
func awaitServer(t *testing.T, cmd *exec.Cmd, probe func() error) {
	t.Helper()
	log, err := os.Create(filepath.Join(t.TempDir(), "log"))
	must(t, err)
	cmd.Stdout, cmd.Stderr = log, log
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		cmd.Process.Signal(os.Interrupt)
		select {
		case <-ended:
		case <-time.After(10 * time.Second):
			cmd.Process.Kill()
		}
		log.Close()
	})
	said := func() string {
		text, _ := os.ReadFile(log.Name())
		return string(text[max(0, len(text)-4096):])
	}
	limit := time.After(serverPatience)
	for {
		err := probe()
		if err == nil {
			return
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s: %v\n%s", cmd.Args[0], err, said())
		case <-limit:
			t.Fatalf("%s does not answer: %v\n%s", cmd.Args[0], err, said())
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// freeAddress returns one on this machine that nobody listens at.
func freeAddress(t *testing.T) string {
	t.Helper()
	ports, err := dovecottest.FreePorts(1)
	must(t, err)
	return net.JoinHostPort("127.0.0.1", ports[0])
}

// openDir makes a directory that every user can reach and write into.
func openDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "popfetch-test-")
	must(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	must(t, os.Chmod(dir, 0o777))
	return dir
}

// header returns the header of the only new message in a Maildir.
func (k *kitchen) header(maildir string) string {
	k.t.Helper()
	paths, _ := filepath.Glob(filepath.Join(k.dir, maildir, "new", "*"))
	if len(paths) != 1 {
		k.t.Fatalf("%s has %d messages, want one", maildir, len(paths))
	}
	text, err := os.ReadFile(paths[0])
	must(k.t, err)
	header, _, _ := strings.Cut(string(text), "\n\n")
	return header
}

// filtersBy follows a recipe whose maildrop runs the client of a spam filter, which gets more
// arguments: it has to ask the server of the test.
func (k *kitchen) filtersBy(r section, name, args string) {
	k.t.Helper()
	k.inHome("maildrop", "", ".mailfilter")
	path, err := exec.LookPath(name)
	must(k.t, err)
	k.program(name, fmt.Sprintf(`exec %s "$@" %s`, path, args))
	for _, f := range r.files {
		if f.name == "~/.mailfilter" { // maildrop has a PATH of its own
			k.write(".mailfilter", strings.Replace(f.text, `"`+name, `"`+filepath.Join(k.dir, "bin", name), 1), 0o600)
		}
	}
	k.does(strings.Join(r.shell, "\n"))
}

func TestRecipeSpamAssassin(t *testing.T) {
	needs(t, "maildrop", "maildrop")
	needs(t, "spamc", "spamc")
	needs(t, "spamd", "spamd")
	t.Parallel()
	r := recipes(t)["SpamAssassin"]
	k := cook(t, r)
	k.addText(4, "X-Number: 4", spamTest)
	ports, err := dovecottest.FreePorts(1)
	must(t, err)
	k.filtersBy(r, "spamc", "-d 127.0.0.1 -p "+ports[0])
	// Without a server the message comes as it was.
	k.does("popfetch --once")
	k.holds("Mail/inbox", 4)
	k.holds("Mail/junk", 0)

	spamd := []string{"--local", "--nouser-config", "--listen=127.0.0.1", "--port=" + ports[0], "--max-children=1", "--syslog=stderr"}
	if os.Geteuid() == 0 {
		spamd = append(spamd, "--username=nobody")
	}
	awaitServer(t, exec.Command("spamd", spamd...), func() error {
		return exec.Command("spamc", "-K", "-d", "127.0.0.1", "-p", ports[0]).Run()
	})
	k.addText(5, "X-Number: 5", spamTest)
	k.add(6, "X-Number: 6")
	k.does("popfetch --once")
	k.holds("Mail/inbox", 5)
	if got := k.header("Mail/junk"); !strings.Contains(got, "X-Spam-Flag: YES") {
		t.Errorf("the header of the spam: %s", got)
	}
}

// startRspamd starts one that takes what comes from a mailing list for spam, with the address of
// its milter and more files of its directory local.d. It asks nobody in the network, and ends with
// the test.
func startRspamd(t *testing.T, milter string, files ...recipeFile) (controller string) {
	t.Helper()
	needs(t, "rspamd", "rspamd")
	needs(t, "rspamc", "rspamd")
	controller = freeAddress(t)
	dir := openDir(t)
	for name, text := range map[string]string{
		"options.inc":           fmt.Sprintf("dns { nameserver = [\"127.0.0.1:9\"]; timeout = 0s; retransmits = 1; }\nurl_tld = \"%s/tld\";\ntempdir = \"%[1]s\";\n", dir),
		"worker-proxy.inc":      fmt.Sprintf("bind_socket = %q;\nupstream \"local\" { default = yes; self_scan = yes; }\n", milter),
		"worker-normal.inc":     "enabled = false;\n",
		"worker-controller.inc": fmt.Sprintf("bind_socket = %q;\n", controller),
		"logging.inc":           "type = \"console\";\n",
		"multimap.conf":         fmt.Sprintf("LIST { type = \"header\"; header = \"List-Id\"; regexp = true; map = \"%s/lists\"; score = 50; }\n", dir),
	} {
		files = append(files, recipeFile{"/etc/rspamd/local.d/" + name, text})
	}
	files = append(files, recipeFile{"tld", "com\norg\n"}, recipeFile{"lists", "/golang/\n"})
	for _, f := range files {
		path := filepath.Join(dir, strings.TrimPrefix(f.name, "/etc/rspamd/"))
		must(t, errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(f.text), 0o644)))
	}
	args := []string{"--no-fork", "--var=LOCAL_CONFDIR=" + dir, "--var=DBDIR=" + dir, "--var=RUNDIR=" + dir}
	if os.Geteuid() == 0 {
		args = append(args, "--user=_rspamd", "--group=_rspamd")
	}
	awaitServer(t, exec.Command("rspamd", args...), func() error {
		probe := exec.Command("rspamc", "--connect="+controller, "symbols")
		probe.Stdin = strings.NewReader("From: a@example.org\nList-Id: <golang.example.org>\nSubject: is the map read?\n\nbody\n")
		out, err := probe.CombinedOutput()
		if err == nil && !strings.Contains(string(out), "LIST") {
			err = fmt.Errorf("no map: %s", out)
		}
		return err
	})
	return controller
}

func TestRecipeRspamdWithMaildrop(t *testing.T) {
	t.Parallel()
	needs(t, "maildrop", "maildrop")
	r := recipes(t)["rspamd"]
	k := cook(t, r)
	k.filtersBy(r, "rspamc", "--connect="+startRspamd(t, freeAddress(t)))
	k.does("popfetch --once")
	k.holds("Mail/inbox", 2)
	if got := k.header("Mail/junk"); !strings.Contains(got, "X-Spam: yes") {
		t.Errorf("the header of the spam: %s", got)
	}
}

// A filter that does not answer must not let spam in, nor lose a message.
func TestRecipeRspamdKeepsMailWhileTheFilterIsAway(t *testing.T) {
	needs(t, "maildrop", "maildrop")
	needs(t, "rspamc", "rspamd")
	r := recipes(t)["rspamd"]
	k := cook(t, r)
	k.filtersBy(r, "rspamc", "--connect=127.0.0.1:9")
	k.exits(75, "popfetch --once", "PATH="+filepath.Join(k.dir, "bin")+":"+os.Getenv("PATH"), "USER=me", "LOGNAME=me")
	k.holds("Mail/inbox", 0)
	k.holds("Mail/junk", 0)
}

// By way of Postfix: what scores far above what rspamd would reject comes marked. Without rspamd
// the mail waits.
func TestRecipeRspamdAsAMilter(t *testing.T) {
	t.Parallel()
	needs(t, "rspamd", "rspamd")
	r := recipes(t)["rspamd as a milter"]
	files := make(map[string]recipeFile)
	for _, f := range r.files {
		files[f.name] = f
	}
	milter := freeAddress(t)
	p := startPostfix(t, servertest.PostfixOptions{
		Mailboxes: []string{"me@localhost"},
		Settings:  strings.Replace(files["/etc/postfix/main.cf"].text, "localhost:11332", milter, 1),
	})
	k := cook(t, r)
	k.configure(k.local(strings.Replace(files["~/.config/popfetch/config.toml"].text, "localhost:25", p.SMTP, 1)))
	env := []string{"PATH=" + filepath.Join(k.dir, "bin") + ":" + os.Getenv("PATH")}
	if e := k.exits(75, "popfetch --once", env...); !strings.Contains(e.stderr, "451") {
		t.Errorf("without rspamd: %s", e.stderr)
	}
	startRspamd(t, milter, files["/etc/rspamd/local.d/actions.conf"])
	k.exits(0, "popfetch --once", env...)
	p.wait(t, "the mail", func() bool {
		names, _ := os.ReadDir(filepath.Join(p.Maildir("me@localhost"), "new"))
		return len(names) == 3
	})
	for text := range inMaildir(t, p.Maildir("me@localhost"), nil) {
		if got, want := strings.Contains(text, "\nX-Spam: Yes"), strings.Contains(text, "golang"); got != want {
			t.Errorf("marked as spam: %t, want %t: %s", got, want, text)
		}
	}
}
