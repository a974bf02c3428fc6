//go:build linux

package cli_test

import (
	"bytes"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/net/dns/dnsmessage"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
	"popfetch/internal/dovecottest"
	"popfetch/internal/ptytest"
)

// newcomer is a user without a configuration, whose provider is example.org. Its POP3
// server at localhost has a certificate that is trusted.
type newcomer struct {
	*userHome
	world *initWorld
	trust string
}

// newNewcomer makes one. pop3 is the address of the server, with TLS; srv is the records of
// DNS by full name.
func newNewcomer(t *testing.T, cert *tls.Certificate, pop3 string, srv map[string]dnsmessage.SRVResource) *newcomer {
	t.Helper()
	pages := map[string]string{
		"autoconfig.example.org/mail/config-v1.1.xml": initPage(t, fmt.Sprint("localhost:", port(t, pop3)), "%EMAILLOCALPART%"),
	}
	n := &newcomer{userHome: newUserHome(t, ""), world: startInitWorld(t, cert, srv, pages)}
	if err := os.RemoveAll(filepath.Join(n.dir, ".config")); err != nil {
		t.Fatal(err)
	}
	chain, _, err := certtest.PEM(*cert)
	if err != nil {
		t.Fatal(err)
	}
	n.trust = filepath.Join(t.TempDir(), "trust.pem")
	if err := os.WriteFile(n.trust, chain, 0o600); err != nil {
		t.Fatal(err)
	}
	return n
}

func (n *newcomer) env() []string { return append(n.world.env(), "SSL_CERT_FILE="+n.trust) }

// popinit runs popinit with a first line of its standard input, and wants an exit code.
func (n *newcomer) popinit(code int, line string, args ...string) ended {
	n.t.Helper()
	cmd := exec.Command("popinit", append([]string{"init"}, args...)...)
	cmd.Dir, cmd.Env = n.dir, append([]string{"HOME=" + n.dir, "PATH=" + os.Getenv("PATH")}, n.env()...)
	cmd.Stdin = strings.NewReader(line + "\n")
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		n.t.Fatal(err)
	}
	e := ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
	if e.code != code {
		n.t.Fatalf("init %q: exit code %d, want %d; it says\n%s%s", args, e.code, code, e.stdout, e.stderr)
	}
	if strings.Contains(e.stdout+e.stderr, secret) {
		n.t.Errorf("init %q shows the password:\n%s%s", args, e.stdout, e.stderr)
	}
	return e
}

func (n *newcomer) file(name string) string { return filepath.Join(n.dir, ".config", "popfetch", name) }

// private checks mode and content of a file.
func (n *newcomer) private(name string, wants ...string) {
	n.t.Helper()
	fi, err := os.Stat(n.file(name))
	if err != nil {
		n.t.Fatal(err)
	}
	if fi.Mode().Perm() != 0o600 {
		n.t.Errorf("%s has mode %v", name, fi.Mode())
	}
	data, err := os.ReadFile(n.file(name))
	if err != nil {
		n.t.Fatal(err)
	}
	for _, want := range wants {
		if !strings.Contains(string(data), want) {
			n.t.Errorf("%s has no %q:\n%s", name, want, data)
		}
	}
}

// nothingWritten checks that there is no configuration, and no draft of one.
func (n *newcomer) nothingWritten() {
	n.t.Helper()
	entries, err := os.ReadDir(filepath.Dir(n.file("x")))
	if err != nil && !errors.Is(err, os.ErrNotExist) || len(entries) > 0 {
		n.t.Errorf("there is %v, %v", entries, err)
	}
}

// secureServer is a POP3 server with TLS, the mail of me, and one message of you.
func secureServer(t *testing.T, cert *tls.Certificate, mail int) *pop3test.Server {
	t.Helper()
	s := &pop3test.Server{
		TLS: &tls.Config{Certificates: []tls.Certificate{*cert}},
		Users: map[string]*pop3test.User{
			"me":  {Password: secret, Maildrop: pop3test.NewMaildrop(small(mail)...)},
			"you": {Password: secret, Maildrop: pop3test.NewMaildrop(small(1)...)},
		},
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

// port is that of an address.
func port(t *testing.T, addr string) uint16 {
	t.Helper()
	_, text, err := net.SplitHostPort(addr)
	must(t, err)
	n, err := strconv.ParseUint(text, 10, 16)
	must(t, err)
	return uint16(n)
}

// From an address to mail in a Maildir, with a real server.
func TestInitLeadsFromAnAddressToMail(t *testing.T) {
	needsDovecot(t)
	t.Parallel()
	cert := initCertificate(t)
	d := runDovecot(t, dovecottest.Options{Certificate: cert})
	d.fill(t, "me", 7)
	n := newNewcomer(t, cert, d.POP3S, nil)
	n.popinit(0, dovecottest.Password, "me@example.org")
	e := n.exits(0, "exec popfetch --once", n.env()...)
	if got := n.mail("example", "new"); got != 7 || e.stdout+e.stderr != "" {
		t.Errorf("%d messages; popfetch says %s%s", got, e.stdout, e.stderr)
	}
}

// A script with a password on standard input.
func TestInitWithoutATerminal(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 3)
	n := newNewcomer(t, cert, s.Addr(), nil)
	e := n.popinit(0, secret, " me@Example.ORG ", "--keep-for", "14d")
	for _, want := range []string{
		"https://autoconfig.example.org: localhost:", "DNS SRV records of example.org: nothing", "told example.org and nothing else): nothing",
		": answers\n", "logged in with ", "waiting mail: 3 messages",
	} {
		if !strings.Contains(e.stderr, want) {
			t.Errorf("init does not say %q:\n%s", want, e.stderr)
		}
	}
	for _, want := range []string{"popfetch --once example\n", "mutt -f ~/Mail/example\n", "systemctl --user"} {
		if !strings.Contains(e.stdout, want) {
			t.Errorf("init does not say %q:\n%s", want, e.stdout)
		}
	}
	n.private("config.toml", "# me@example.org, written by popfetch init.\n", "[account.example]\nserver = \"localhost:", "user = \"me\"", "keep = \"14d\"")
	n.private("example.password", secret+"\n")
	if fi, err := os.Stat(filepath.Dir(n.file("x"))); err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("the directory: %v, %v", fi.Mode(), err)
	}
	n.exits(0, "exec popfetch --once", n.env()...)
	if got := n.mail("example", "new"); got != 3 {
		t.Errorf("%d messages", got)
	}

	// A second account is added, or nothing is done.
	e = n.popinit(78, secret, "you@example.org")
	if !strings.Contains(e.stderr, "exists already, and init overwrites nothing (--add adds the account to it") {
		t.Error(e.stderr)
	}
	e = n.popinit(78, secret, "me@example.org", "--add")
	if !strings.Contains(e.stderr, `account "example": is user me at localhost already`) {
		t.Error(e.stderr)
	}
	e = n.popinit(0, secret, "you@example.org", "--add", "--quiet")
	if e.stderr != "" || !strings.Contains(e.stdout, "added the account you-example.org to ") && !strings.Contains(e.stdout, "added the account you@example.org to ") {
		t.Errorf("%s%s", e.stdout, e.stderr)
	}
	n.private("config.toml", "[account.example]\n", "[account.\"you@example.org\"]\n")
	n.exits(0, "exec popfetch --once", n.env()...)
	if got := n.mail("you@example.org", "new"); got != 1 {
		t.Errorf("%d messages", got)
	}
	if entries, _ := os.ReadDir(filepath.Dir(n.file("x"))); len(entries) != 3 {
		t.Errorf("there is %v", entries)
	}
}

// What goes wrong has a code and a next step, and leaves nothing behind.
func TestInitThatFailsWritesNothing(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 0)
	n := newNewcomer(t, cert, s.Addr(), map[string]dnsmessage.SRVResource{
		"_pop3s._tcp.dot.example.":       {Target: dnsmessage.MustNewName(".")},
		"_pop3._tcp.dot.example.":        {Target: dnsmessage.MustNewName(".")},
		"_pop3s._tcp.elsewhere.example.": {Target: dnsmessage.MustNewName("localhost."), Port: port(t, s.Addr())},
	})
	for _, x := range []struct {
		code int
		says string
		args []string
	}{
		{64, "init: name one mail address", nil},
		{64, `"me" is not a mail address: it has no @`, []string{"me"}},
		{64, `init: --tls "ssl" is not`, []string{"me@example.org", "--server", "x", "--tls", "ssl"}},
		{64, "--keyring and --password-file exclude each other", []string{"me@example.org", "--keyring", "--password-file", "x"}},
		{64, "--client-secret-command goes with --client-id", []string{"me@gmail.com", "--client-secret-command", "x"}},
		{64, "with --no-input name where the password is", []string{"me@example.org", "--no-input"}},
		{64, "--maildir and --mbox exclude each other", []string{"me@example.org", "--maildir", "x", "--mbox", "y"}},
		{64, "--tls-fingerprint: ", []string{"me@example.org", "--tls-fingerprint", "x"}},
		{64, "there is no certificate for --tls-ca-file", []string{"me@example.org", "--server", "x", "--tls", "none", "--tls-ca-file", "y"}},
		{78, "tls_ca_file: ", []string{"me@example.org", "--server", s.Addr(), "--tls-ca-file", "none"}},
		{64, "init: --mda: unknown placeholder {nothing}", []string{"me@example.org", "--mda", "procmail {nothing}"}},
		{64, `--keep-for: "soon" is not`, []string{"me@example.org", "--keep-for", "soon"}},
		{78, "iCloud has no POP3, only IMAP", []string{"me@icloud.com"}},
		{78, "hint: popfetch speaks POP3 alone", []string{"me@icloud.com"}},
		{78, "dot.example: the domain says in DNS that it has no POP3", []string{"me@dot.example"}},
		{78, "hint: if you know its name: popfetch init ADDRESS --server HOST", []string{"me@nowhere.invalid"}},
		{78, "only DNS names localhost for elsewhere.example", []string{"me@elsewhere.example"}},
		{77, "hint: check user and password", []string{"them@example.org"}},
		{75, "connection refused", []string{"me@example.org", "--server", "127.0.0.1:1", "--tls", "none"}},
		{78, "no such file", []string{"me@example.org", "--password-file", "none"}},
	} {
		e := n.popinit(x.code, secret, x.args...)
		if !strings.Contains(e.stderr, x.says) {
			t.Errorf("init %q does not say %q:\n%s", x.args, x.says, e.stderr)
		}
		n.nothingWritten()
	}
	e := n.popinit(0, "", "me@hotmail.com", "--server", s.Addr(), "--tls", "implicit", "--client-id", "0000-1111", "--no-input", "--print")
	if !strings.Contains(e.stdout, "oauth = \"microsoft\"\nclient_id = \"0000-1111\"\n") {
		t.Error(e.stdout)
	}
	n.nothingWritten()
	e = n.popinit(0, secret, "me@elsewhere.example", "--server", "localhost:"+fmt.Sprint(port(t, s.Addr())), "--user", "me", "--print")
	if !strings.Contains(e.stdout, "[account.elsewhere]\n") {
		t.Error(e.stdout)
	}
	n.nothingWritten()
}

// On a terminal it asks, and Ctrl-C leaves nothing behind.
func TestInitOnATerminal(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 1)
	n := newNewcomer(t, cert, s.Addr(), nil)
	screen, code := n.dialogue("me@example.org", secret, "~/Mail/mine", "x", "0", "9", "command", "echo wrong", "command", "echo '"+secret+"'")
	if code != 0 || !strings.Contains(screen, "prints another password") || !strings.Contains(screen, "popfetch --once example") {
		t.Errorf("exit code %d:\n%s", code, screen)
	}
	n.private("config.toml", "maildir = \"~/Mail/mine\"", "keep = false", `password_command = ["echo", "`+secret+`"]`)

	n = newNewcomer(t, cert, s.Addr(), nil)
	screen, code = n.dialogue("me@example.org", "wrong", "me", secret, "\x03")
	if code != 130 {
		t.Errorf("exit code %d:\n%s", code, screen)
	}
	n.nothingWritten()
	screen, code = n.dialogue("me@example.org", "\x03")
	if code != 130 {
		t.Errorf("exit code %d:\n%s", code, screen)
	}
	n.nothingWritten()
}

// keyPin is what tls_fingerprint has for the key of a certificate.
func keyPin(t *testing.T, chain []byte) string {
	t.Helper()
	block, _ := pem.Decode(chain)
	cert, err := x509.ParseCertificate(block.Bytes)
	must(t, err)
	digest := sha256.Sum256(cert.RawSubjectPublicKeyInfo)
	return "pin-sha256:" + base64.StdEncoding.EncodeToString(digest[:])
}

// A server that no authority vouches for is one that many people run themselves.
func TestInitWithAServerThatNoAuthorityVouchesFor(t *testing.T) {
	t.Parallel()
	s := secureServer(t, initCertificate(t), 1)
	pin := keyPin(t, s.CertPEM())
	newcomer := func() *newcomer { return newNewcomer(t, initCertificate(t), s.Addr(), nil) } // trusts another certificate
	n := newcomer()
	e := n.popinit(76, secret, "me@example.org", "--user=me", "--server", s.Addr())
	for _, want := range []string{"--tls-fingerprint " + pin + " trusts its key alone", "--tls-ca-file FILE the authority"} {
		if !strings.Contains(e.stderr, want) {
			t.Errorf("init does not say %q:\n%s", want, e.stderr)
		}
	}
	n.nothingWritten()
	e = n.popinit(76, secret, "me@example.org", "--server", s.Addr(), "--tls-fingerprint", "pin-sha256:"+strings.Repeat("A", 43)+"=")
	if !strings.Contains(e.stderr, "fingerprint") {
		t.Error(e.stderr)
	}
	n.nothingWritten()

	must(t, os.WriteFile(filepath.Join(n.dir, "ca.pem"), s.CertPEM(), 0o600))
	for want, flags := range map[string][]string{
		`tls_fingerprint = ["` + pin + `"]`: {"--tls-fingerprint", pin},
		`tls_fingerprint = ["first-use"]`:   {"--tls-fingerprint", "first-use"},
		`tls_ca_file = "~/ca.pem"`:          {"--tls-ca-file", "~/ca.pem"},
	} {
		n := newcomer()
		must(t, os.WriteFile(filepath.Join(n.dir, "ca.pem"), s.CertPEM(), 0o600))
		n.popinit(0, secret, append([]string{"me@example.org", "--user=me", "--server", s.Addr()}, flags...)...)
		n.private("config.toml", want, `maildir = "~/Mail/example"`, `password_file = "~/.config/popfetch/example.password"`)
		n.exits(0, "exec popfetch --once", n.env()...)
	}

	// Somebody who can be asked is asked.
	n = newcomer()
	screen, code := n.dialogue("me@example.org --user me --server "+s.Addr(), "no")
	if code != 76 || !strings.Contains(screen, "fingerprint") {
		t.Errorf("exit code %d:\n%s", code, screen)
	}
	n.nothingWritten()
	screen, code = n.dialogue("me@example.org --user me --server "+s.Addr(), "yes", secret, "", "", "file")
	if code != 0 {
		t.Fatalf("exit code %d:\n%s", code, screen)
	}
	n.private("config.toml", `tls_fingerprint = ["`+pin+`"]`)
	n.exits(0, "exec popfetch --once", n.env()...)
}

func TestInitWithOtherDestinations(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 1)
	for want, flags := range map[string][]string{
		`mda = ["cat"]`:             {"--mda", "cat"},
		`mbox = "~/mail/work.mbox"`: {"--mbox", "~/mail/work.mbox"},
	} {
		n := newNewcomer(t, cert, s.Addr(), nil)
		e := n.popinit(0, secret, append([]string{"me@example.org"}, flags...)...)
		n.private("config.toml", want)
		if strings.Contains(e.stdout, "mutt -f") != strings.Contains(want, "mbox") {
			t.Errorf("next steps: %s", e.stdout)
		}
		n.exits(0, "exec popfetch --once", n.env()...)
	}
}

// Who has written the settings for all accounts first, or has installed a package, has a file
// without accounts.
func TestInitAddsTheFirstAccountToAFileWithoutAccounts(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 1)
	n := newNewcomer(t, cert, s.Addr(), nil)
	const text = "# mine\ninterval = \"10m\"\n"
	n.configure(text)
	e := n.popinit(78, secret, "me@example.org")
	if !strings.Contains(e.stderr, "exists already") {
		t.Error(e.stderr)
	}
	n.popinit(0, secret, "me@example.org", "--add")
	n.private("config.toml", text+"\n# me@example.org")
	n.exits(0, "exec popfetch --once", n.env()...)

	n = newNewcomer(t, cert, s.Addr(), nil)
	n.configure("")
	screen, code := n.dialogue("me@example.org", "yes", secret, "", "", "file")
	if code != 0 || !strings.Contains(screen, "has no account yet") {
		t.Errorf("exit code %d:\n%s", code, screen)
	}
	n.configure("[account.x]\n")
	e = n.popinit(78, secret, "me@example.org", "--add")
	if !strings.Contains(e.stderr, "missing") {
		t.Error(e.stderr)
	}
}

// [defaults] says where the mail of all accounts goes.
func TestInitFollowsTheDestinationOfDefaults(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 1)
	const text = "[defaults]\nmaildir = \"~/Post/{account}\"\n"
	n := newNewcomer(t, cert, s.Addr(), nil)
	n.configure(text)
	e := n.popinit(0, secret, "me@example.org", "--add")
	if !strings.Contains(e.stderr, "mail goes where [defaults] says (maildir ~/Post/{account}); --maildir") {
		t.Error(e.stderr)
	}
	n.exits(0, "exec popfetch --once", n.env()...)
	if got, _ := os.ReadDir(filepath.Join(n.dir, "Post", "example", "new")); len(got) != 1 {
		t.Errorf("%d messages", len(got))
	}

	n.configure(text)
	n.popinit(0, secret, "me@example.org", "--add", "--name", "other", "--maildir", "~/Mail/other")
	if written, err := os.ReadFile(n.file("config.toml")); err != nil || !strings.Contains(string(written), `maildir = "~/Mail/other"`) {
		t.Errorf("%s, %v", written, err)
	}

	for answer, want := range map[string]bool{"yes": true, "no": false} {
		n := newNewcomer(t, cert, s.Addr(), nil)
		n.configure("[defaults]\nmda = [\"/bin/cat\"]\n")
		answers := []string{"yes", secret, answer}
		if answer == "no" {
			answers = append(answers, "")
		}
		screen, code := n.dialogue("me@example.org", append(answers, "", "file")...)
		written, err := os.ReadFile(n.file("config.toml"))
		if code != 0 || err != nil || !strings.Contains(screen, "Deliver where [defaults] says (mda /bin/cat)?") || strings.Contains(string(written), "maildir =") == want {
			t.Errorf("%s: exit code %d: %s\n%s", answer, code, screen, written)
		}
	}
}

// A configuration of the system belongs to another user than the one who runs init.
func TestInitWritesPathsInFullOutsideOfTheHomeDirectory(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 1)
	n := newNewcomer(t, cert, s.Addr(), nil)
	path := filepath.Join(t.TempDir(), "popfetch.toml")
	n.popinit(0, secret, "me@example.org", "--config", path)
	text, err := os.ReadFile(path)
	must(t, err)
	if !strings.Contains(string(text), `maildir = "`+n.dir+`/Mail/example"`) {
		t.Errorf("%s", text)
	}
}

// The greeting comes before the password is known, so that nothing could be masked in it.
func TestInitShowsNoGreeting(t *testing.T) {
	t.Parallel()
	cert := initCertificate(t)
	s := secureServer(t, cert, 1)
	s.SetFaults(pop3test.Fault{At: "greeting", Do: pop3test.Raw, Text: "+OK last time: " + secret + "\r\n"})
	n := newNewcomer(t, cert, s.Addr(), nil)
	n.popinit(0, secret, "me@example.org", "-vv") // popinit fails if the password is shown
}

// dialogue runs init on a terminal, with an address and flags. Each answer is typed when a
// question is there.
func (n *newcomer) dialogue(arguments string, answers ...string) (screen string, code int) {
	n.t.Helper()
	user, terminal := ptytest.Open(n.t, 80)
	cmd := exec.Command("popinit", append([]string{"init"}, strings.Fields(arguments)...)...)
	cmd.Dir, cmd.Env = n.dir, append([]string{"HOME=" + n.dir, "TERM=xterm", "PATH=" + os.Getenv("PATH")}, n.env()...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = terminal, terminal, terminal
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := cmd.Start(); err != nil {
		n.t.Fatal(err)
	}
	terminal.Close() // the program alone holds it now: reading ends with the program
	var shown strings.Builder
	asked, buffer := 0, make([]byte, 4096)
	for {
		k, err := user.Read(buffer)
		if k > 0 {
			shown.Write(buffer[:k])
			if rest := shown.String()[asked:]; strings.HasSuffix(rest, ": ") && len(answers) > 0 {
				asked = shown.Len()
				if strings.Contains(rest, "Password of") || strings.Contains(rest, "Secret of") {
					ptytest.WaitForNoEcho(n.t, user)
				}
				answer := answers[0]
				answers = answers[1:]
				if answer != "\x03" {
					answer += "\n"
				}
				user.WriteString(answer)
			}
		}
		if err != nil {
			break
		}
	}
	cmd.Wait()
	return shown.String(), cmd.ProcessState.ExitCode()
}
