package cli_test

import (
	"bufio"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
)

// lookAround is a shell command that notes the arguments and the environment of every
// process.
const lookAround = `cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>$HOME/seen 2>/dev/null`

// sweep is a home, a server and a secret for one login method.
type sweep struct {
	*home
	server              *pop3test.Server
	method              string
	right, wrong        string // what the server knows, and what it does not
	typed               string // the secret of the configuration now
	file, trust, script string // of the typed secret, of the server's certificate; a program that prints the secret
}

func newSweep(t *testing.T, bin executable, method string) *sweep {
	t.Helper()
	w := &sweep{home: newHome(t, bin), method: method, right: rand.Text(), wrong: rand.Text()}
	cert, err := certtest.SelfSigned(certtest.Localhost())
	must(t, err)
	user := &pop3test.User{Password: w.right, Token: w.right, Maildrop: pop3test.NewMaildrop(small(2)...)}
	w.server = &pop3test.Server{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, Timestamp: true,
		SASL:  []string{"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"},
		Users: map[string]*pop3test.User{"alice": user},
	}
	must(t, w.server.Start())
	t.Cleanup(func() { w.server.Close() })
	dir := filepath.Join(w.dir, "secret")
	must(t, os.Mkdir(dir, 0o700))
	w.file, w.trust, w.script = filepath.Join(dir, "typed"), filepath.Join(w.dir, "ca.pem"), filepath.Join(dir, "print")
	must(t, os.WriteFile(w.trust, w.server.CertPEM(), 0o600))
	w.env = append(w.env, "SSL_CERT_FILE="+w.trust) // for init, which has no configuration yet
	return w
}

// failure is something that goes wrong, and what popfetch --once makes of it.
type failure struct {
	name   string
	wrong  bool                             // the secret is not the right one
	faults func(echo string) pop3test.Fault // echo is the secret in some form; nil = none
	at     []string                         // places of the fault in addition to its own
	source string                           // of the secret; "" = password_file
	server string                           // "" = that of the sweep
	trust  string                           // "" = the certificate of the server
	mda    string                           // "" = a program that takes all
	after  func(t *testing.T, w *sweep)     // changes files before the commands run
	early  bool                             // the server also repeats it to init, which has not asked for it yet and cannot recognise it
	code   int                              // of popfetch --once; -1 = any
}

func failures() []failure {
	says := func(at string, kind pop3test.Kind, before, after string) func(string) pop3test.Fault {
		return func(echo string) pop3test.Fault {
			return pop3test.Fault{At: at, Do: kind, Text: before + echo + after}
		}
	}
	login := []string{"AUTH", "APOP"}
	config := func(w *sweep) string { return filepath.Join(w.dir, "config", "popfetch", "config.toml") }
	return []failure{
		{name: "nothing", code: 0},
		{name: "another secret", wrong: true, code: 77},
		{name: "the greeting refuses", faults: says("greeting", pop3test.Err, "you sent ", " last time"), early: true, code: 75},
		{name: "CAPA repeats it", faults: says("CAPA", pop3test.Raw, "+OK\r\nUIDL\r\nX-LAST ", "\r\n.\r\n"), code: -1},
		{name: "CAPA repeats it among the mechanisms", code: -1,
			faults: says("CAPA", pop3test.Raw, "+OK\r\nUIDL\r\nTOP\r\nPIPELINING\r\nUSER\r\nSASL PLAIN LOGIN CRAM-MD5 SCRAM-SHA-256 XOAUTH2 OAUTHBEARER ", "\r\n.\r\n")},
		{name: "the login is refused with it", faults: says("PASS", pop3test.Err, "[AUTH] not ", ""), at: login, code: 77},
		{name: "the server is busy", faults: says("PASS", pop3test.Err, "[IN-USE] by ", ""), at: login, code: 75},
		{name: "the reply to the login is nonsense", faults: says("PASS", pop3test.Raw, "what is ", "?\r\n"), at: login, code: 76},
		{name: "the connection ends behind the login", faults: func(string) pop3test.Fault { return pop3test.Fault{At: "PASS", Do: pop3test.Drop} }, at: login, code: 75},
		{name: "the listing is refused with it", faults: says("UIDL", pop3test.Err, "[SYS/TEMP] ", ""), code: -1},
		{name: "the listing is nonsense", faults: says("UIDL", pop3test.Raw, "+OK\r\n", "\r\n.\r\n"), code: -1},
		{name: "the message is refused with it", faults: says("RETR", pop3test.Err, "no ", ""), code: -1},
		{name: "the header is refused with it", faults: says("TOP", pop3test.Err, "no ", ""), code: -1},
		{name: "the end is refused with it", faults: says("QUIT", pop3test.Err, "no ", ""), early: true, code: -1},
		{name: "the certificate is not trusted", trust: `tls_fingerprint = "` + strings.Repeat("ab", 32) + `"`, code: 76},
		{name: "nobody listens", server: "127.0.0.1:1", code: 75},
		{name: "the destination fails", mda: `exit 65`, code: -1},
		{name: "the program prints it and fails", source: `password_command = ["sh", %[2]q]`, code: -1, after: func(t *testing.T, w *sweep) {
			must(t, os.WriteFile(w.script, []byte(lookAround+"\ncat "+w.file+"\nexit 3\n"), 0o600))
		}},
		{name: "the program prints much", source: `password_command = ["sh", %[2]q]`, code: -1, after: func(t *testing.T, w *sweep) {
			must(t, os.WriteFile(w.script, []byte(lookAround+"\nfor i in 1 2 3 4 5 6 7 8 9; do tr -d '\\n' <"+w.file+"; tr -d '\\n' <"+w.file+"; done\n"), 0o600))
		}},
		{name: "others may read the password file", code: 78, after: func(t *testing.T, w *sweep) { must(t, os.Chmod(w.file, 0o644)) }},
		{name: "others may read the configuration", source: `password = %[3]q`, code: 78, after: func(t *testing.T, w *sweep) { must(t, os.Chmod(config(w), 0o644)) }},
		{name: "the configuration is cut inside", source: "password = \"%[3]s", code: 78},
		{name: "the secret is of another type", source: `password = [%[3]q]`, code: 78},
		{name: "the secret is not in quotes", source: `password = %[3]s`, code: 78},
	}
}

// arrange puts a failure into effect. The server repeats the secret in another form for
// each turn.
func (w *sweep) arrange(t *testing.T, f failure, turn int) {
	t.Helper()
	w.typed = w.right
	if f.wrong {
		w.typed = w.wrong
	}
	echo := []string{
		w.typed, base64.StdEncoding.EncodeToString([]byte("\x00alice\x00" + w.typed)), hex.EncodeToString([]byte(w.typed)),
		w.typed[:12], base64.StdEncoding.EncodeToString([]byte(w.typed)),
	}[turn%5]
	var faults []pop3test.Fault
	if f.faults != nil {
		fault := f.faults(echo)
		faults = append(faults, fault)
		for _, at := range f.at {
			fault.At = at
			faults = append(faults, fault)
		}
	}
	w.server.SetFaults(faults...)
	must(t, os.WriteFile(w.file, []byte(w.typed+"\n"), 0o600))
	must(t, os.Chmod(w.file, 0o600))
	source, server, trust, mda := f.source, f.server, f.trust, f.mda
	if source == "" {
		source = `password_file = %[1]q`
	}
	if server == "" {
		server = w.server.Addr()
	}
	if trust == "" {
		trust = fmt.Sprintf("tls_ca_file = %q", w.trust)
	}
	if mda == "" {
		mda = "exec cat >/dev/null"
	}
	// %[1]s and so on: Sprintf must use each argument.
	line := strings.TrimSuffix(fmt.Sprintf(source+"\n%.0[1]s%.0[2]s%.0[3]s", w.file, w.script, w.typed), "\n")
	w.configure(t, fmt.Sprintf("[account.work]\nserver = %q\nuser = \"alice\"\n%s\nauth = %q\nkeep = false\n%s\nmda = [\"sh\", \"-c\", %q]\n",
		server, trust, w.method, line, lookAround+"; "+mda))
	if f.after != nil {
		f.after(t, w)
	}
	w.server.Users["alice"].Maildrop.Add(small(1)...)
}

// commandsOfHelp returns the commands that the general help names, "state check" and so on.
func commandsOfHelp(t *testing.T, h *home) (names []string) {
	t.Helper()
	help, _ := h.program(t, "--help")
	for _, line := range regexp.MustCompile(`(?m)^  popfetch ([a-z|]+)(?: ([a-z|]+\b))?`).FindAllStringSubmatch(help, -1) {
		for first := range strings.SplitSeq(line[1], "|") {
			for second := range strings.SplitSeq(line[2], "|") {
				names = append(names, strings.TrimSpace(first+" "+second))
			}
		}
	}
	return names
}

// sweptCommands returns the command lines to run for each command, which no secret may
// leave by. One that is not here is run with the name of the account. What prints a secret because the user asks for that is left out: token where
// there is one, and import --print.
func (w *sweep) sweptCommands() map[string][][]string {
	rc := filepath.Join(w.dir, "secret", "rc")
	return map[string][][]string{
		"check":            {{"check", "-vv"}, {"check", "-vv", "--json"}},
		"list":             {{"list", "-vv", "--headers"}, {"list", "-vv", "--json"}},
		"authorize":        {{"authorize", "-vv", "work"}},
		"token":            {{"token", "-vv", "work"}},
		"status":           {{"status", "-vv"}},
		"password set":     {{"password", "set", "-vv", "work"}},
		"password remove":  {{"password", "remove", "-vv", "work"}},
		"init":             {{"init", "-vv", "--no-input", "--no-database", "--server", w.server.Addr(), "--tls", "implicit", "--password-file", w.file, "--name", "other", "--user", "alice", "--add", "--print", "alice@example.org"}},
		"import mpop":      {{"--config", filepath.Join(w.dir, "secret", "mpop.toml"), "import", "-vv", "mpop", rc}},
		"import fetchmail": {{"--config", filepath.Join(w.dir, "secret", "fetchmail.toml"), "import", "-vv", "fetchmail", rc}},
		"import getmail":   {{"--config", filepath.Join(w.dir, "secret", "getmail.toml"), "import", "-vv", "getmail", rc}},
		"config check":     {{"config", "check", "-vv"}},
		"config show":      {{"config", "show", "-vv"}},
		"state check":      {{"state", "check", "-vv"}},
		"state restore":    {{"state", "restore", "-vv"}},
		"state compact":    {{"state", "compact", "-vv"}},
		"state rebuild":    {{"state", "rebuild", "-vv", "work"}},
		"state seed":       {{"state", "seed", "-vv", "work"}},
		"state retry":      {{"state", "retry", "-vv", "work"}},
		"state trust":      {{"state", "trust", "-vv", "work"}},
		"state forget":     {{"state", "forget", "-vv", "work"}},
	}
}

// once are the command lines that poll; those of a daemon are in TestNoDaemonShowsASecret.
func once() [][]string {
	return [][]string{{"--once", "-vv", "--dry-run"}, {"--once", "-vv"}, {"--once", "-vv", "--json"}}
}

// Every command at its highest verbosity, with every failure: no output, no file and no
// process shows the secret in any form. Each failure meets one login method with all
// commands, and every method with those that log in.
func TestNoCommandShowsASecret(t *testing.T) {
	t.Parallel()
	bin := buildPopfetch(t)
	methods := []string{"plain", "user", "login", "cram-md5", "apop", "scram-sha-256", "xoauth2", "oauthbearer"}
	for m, method := range methods {
		t.Run(method, func(t *testing.T) {
			t.Parallel()
			w := newSweep(t, bin, method)
			commands := w.sweptCommands()
			known := commandsOfHelp(t, w.home)
			for _, name := range known {
				if commands[name] == nil {
					commands[name] = [][]string{append(strings.Fields(name), "-vv", "work")}
				}
			}
			for i, f := range failures() {
				w.arrange(t, f, i+m)
				lines := append(once(), commands["check"]...)
				if i%len(methods) == m {
					for name, more := range commands {
						if name != "check" && slices.Contains(known, name) && !(name == "init" && f.early) {
							lines = append(lines, more...)
						}
					}
				}
				for _, args := range lines {
					must(t, os.WriteFile(filepath.Join(w.dir, "secret", "rc"), rcFile(args, w.server.Addr(), w.typed), 0o600))
					said, code := w.program(t, args...)
					if f.code >= 0 && slices.Equal(args, []string{"--once", "-vv"}) && code != f.code {
						t.Errorf("%s: popfetch %q: exit code %d, want %d:\n%.2000s", f.name, args, code, f.code, said)
					}
					hunt(t, fmt.Sprintf("%s: popfetch %q", f.name, args), said, w.right, w.wrong)
				}
				for path, text := range written(t, w.dir) {
					hunt(t, f.name+": "+path, text, w.right, w.wrong)
				}
				if seen, err := os.ReadFile(filepath.Join(w.dir, "seen")); f.name == "nothing" && (err != nil || !strings.Contains(string(seen), "popfetch\x00--once")) {
					t.Errorf("the program has seen %d octets of other processes, %v", len(seen), err)
				}
				os.Remove(filepath.Join(w.dir, "seen"))
			}
		})
	}
}

// rcFile is the configuration of the fetcher that a command line imports, with the secret in
// it.
func rcFile(args []string, server, secret string) []byte {
	host, port, _ := strings.Cut(server, ":")
	switch {
	case slices.Contains(args, "mpop"):
		return fmt.Appendf(nil, "account work\nhost %s\nport %s\nuser alice\npassword %s\ntls on\ndelivery maildir ~/Mail\nnonsense %s\n", host, port, secret, secret)
	case slices.Contains(args, "fetchmail"):
		return fmt.Appendf(nil, "poll %s port %s proto pop3 user alice password \"%s\" ssl mda \"cat\" sslcertck\n", host, port, secret)
	}
	return fmt.Appendf(nil, "[retriever]\ntype = SimplePOP3SSLRetriever\nserver = %s\nport = %s\nusername = alice\npassword = %s\n[destination]\ntype = Maildir\npath = ~/Mail/\n[options]\nnonsense = %s\n", host, port, secret, secret)
}

// A daemon at its highest verbosity, with a login that succeeds and one that is refused
// with the secret.
func TestNoDaemonShowsASecret(t *testing.T) {
	t.Parallel()
	bin := buildPopfetch(t)
	for i, name := range []string{"nothing", "the login is refused with it", "the certificate is not trusted"} {
		w := newSweep(t, bin, "plain")
		all := failures()
		w.arrange(t, all[slices.IndexFunc(all, func(f failure) bool { return f.name == name })], i)
		cmd := w.command("-vv")
		r, out, err := os.Pipe()
		must(t, err)
		cmd.Stdout, cmd.Stderr = out, out
		must(t, cmd.Start())
		out.Close()
		must(t, r.SetReadDeadline(time.Now().Add(patience)))
		said, polled := "", regexp.MustCompile(`delivered|hint:`)
		for lines := bufio.NewScanner(r); lines.Scan(); {
			said += lines.Text() + "\n"
			if polled.MatchString(lines.Text()) {
				must(t, cmd.Process.Signal(syscall.SIGTERM))
			}
		}
		r.Close()
		cmd.Wait()
		if !polled.MatchString(said) {
			t.Errorf("%s: no poll:\n%s", name, said)
		}
		hunt(t, name, said, w.right, w.wrong)
		for path, text := range written(t, w.dir) {
			hunt(t, name+": "+path, text, w.right, w.wrong)
		}
	}
}
