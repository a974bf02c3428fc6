package cli_test

import (
	"bytes"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"popfetch/fetch/pop3"
	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
	"popfetch/internal/oauth/oauthtest"
)

// forms returns how a secret may show up: whole, its ends, and in base64 and hex at any
// place of a longer text.
func forms(secret string) map[string]string {
	const end = 9 // octets, which a random secret shares with nothing else
	all := map[string]string{
		"as it is": secret, "cut behind": secret[:end], "cut before": secret[len(secret)-end:],
		"in hex": hex.EncodeToString([]byte(secret)), "cut, in hex": hex.EncodeToString([]byte(secret[:end])),
	}
	for before := range 3 {
		encoded := base64.StdEncoding.EncodeToString([]byte(strings.Repeat("\x00", before) + secret))
		all[fmt.Sprintf("in base64 behind %d octets", before)] = encoded[(8*before+5)/6 : 8*(before+len(secret))/6]
		all[fmt.Sprintf("cut, in base64 behind %d octets", before)] = encoded[(8*before+5)/6:][:end]
	}
	return all
}

// hunt fails the test for each secret that is in a text in any form.
func hunt(t *testing.T, where, text string, secrets ...string) {
	t.Helper()
	for _, haystack := range []string{text, strings.NewReplacer("-", "+", "_", "/").Replace(text)} {
		lower := strings.ToLower(haystack)
		for _, s := range secrets {
			for form, needle := range forms(s) {
				if strings.Contains(haystack, needle) || strings.Contains(lower, strings.ToLower(needle)) {
					t.Errorf("%s: %.6s... is there %s:\n%.2000s", where, s, form, text)
					return
				}
			}
		}
	}
}

// written returns all that popfetch has left below a directory, but for the files that
// exist to hold a secret.
func written(t *testing.T, dir string) map[string]string {
	t.Helper()
	files := make(map[string]string)
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() || strings.Contains(path, "/tokens/") || strings.Contains(path, "/secret/") || strings.HasSuffix(path, "config.toml") {
			return err
		}
		data, err := os.ReadFile(path)
		files[path] = string(data)
		return err
	})
	must(t, err)
	return files
}

// program runs popfetch and returns all that it says, and its exit code.
func (h *home) program(t *testing.T, args ...string) (said string, code int) {
	t.Helper()
	cmd := h.command(args...)
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	if err != nil && !errors.As(err, new(*exec.ExitError)) {
		t.Fatal(err)
	}
	return out.String(), cmd.ProcessState.ExitCode()
}

// Every login method and every source of a secret, with a login that succeeds, one that
// the server refuses, and one where it repeats the secret in its reply in several forms:
// no output, no file, no program that popfetch runs, and nobody who looks at the processes
// gets to see the secret.
func TestNoSecretLeaves(t *testing.T) {
	t.Parallel()
	h := newHome(t, buildPopfetch(t))
	secretDir := filepath.Join(h.dir, "secret")
	must(t, os.Mkdir(secretDir, 0o700))
	cert, err := certtest.SelfSigned(certtest.Localhost())
	must(t, err)
	clientCert, err := certtest.SelfSigned(certtest.Request{Names: []string{"alice"}, Client: true})
	must(t, err)
	client := writePair(t, secretDir, "client", clientCert)
	trust := filepath.Join(h.dir, "ca.pem")

	for _, method := range append(pop3.Methods(), "auto") {
		if method == "gssapi" {
			continue // its secret is a key that the server has and popfetch has not
		}
		password, token, wrong := rand.Text(), rand.Text(), rand.Text()
		s := &pop3test.Server{
			TLS: &tls.Config{Certificates: []tls.Certificate{cert}, ClientAuth: tls.RequestClientCert}, Timestamp: true,
			SASL: []string{"PLAIN", "LOGIN", "CRAM-MD5", "XOAUTH2", "OAUTHBEARER", "EXTERNAL", "SCRAM-SHA-1", "SCRAM-SHA-256", "SCRAM-SHA-1-PLUS", "SCRAM-SHA-256-PLUS"},
		}
		s.Users = map[string]*pop3test.User{"alice": {Password: password, Token: token, Maildrop: pop3test.NewMaildrop(small(2)...)}}
		must(t, s.Start())
		t.Cleanup(func() { s.Close() })
		must(t, os.WriteFile(trust, s.CertPEM(), 0o600))
		bearer := method == "xoauth2" || method == "oauthbearer"
		right := password
		if bearer {
			right = token
		}
		file := filepath.Join(secretDir, "typed")
		sources := []string{fmt.Sprintf("password_file = %q", file), fmt.Sprintf("password_command = [\"cat\", %q]", file)}
		switch {
		case bearer:
			sources = append(sources, fmt.Sprintf("token_command = [\"cat\", %q]", file))
		case method == "external":
			sources = []string{client}
		default:
			sources = append(sources, "password = %q")
		}
		for i, source := range sources {
			for _, attempt := range []string{"accepted", "refused", "repeated", "repeated in base64", "repeated in hex", "repeated in part"} {
				typed := right
				s.SetFaults()
				if attempt != "accepted" {
					typed = wrong
					if method == "external" {
						continue // its secret does not leave the machine
					}
				}
				echo := map[string]string{
					"repeated": typed, "repeated in base64": base64.StdEncoding.EncodeToString([]byte("\x00alice\x00" + typed)),
					"repeated in hex": hex.EncodeToString([]byte(typed)), "repeated in part": typed[:12],
				}[attempt]
				if echo != "" {
					s.SetFaults(
						pop3test.Fault{At: "PASS", Do: pop3test.Raw, Text: "-ERR you sent " + echo + "\r\n"},
						pop3test.Fault{At: "APOP", Do: pop3test.Raw, Text: "-ERR you sent " + echo + "\r\n"},
						pop3test.Fault{At: "AUTH", Do: pop3test.Raw, Text: "-ERR you sent " + echo + "\r\n"},
						pop3test.Fault{At: "greeting", Do: pop3test.Raw, Text: "+OK last time you sent " + echo + " <1.2@x>\r\n"})
				}
				must(t, os.WriteFile(file, []byte(typed+"\n"), 0o600))
				line := source
				if strings.Contains(source, "%q") {
					line = fmt.Sprintf(source, typed)
				}
				const mda = `mda = ["sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>$HOME/seen 2>/dev/null; cat >/dev/null"]`
				h.configure(t, fmt.Sprintf("[account.work]\nserver = %q\nuser = \"alice\"\ntls_ca_file = %q\nauth = %q\nkeep = true\n%s\n%s\n", s.Addr(), trust, method, line, mda))
				where := fmt.Sprintf("%s, source %d, %s", method, i, attempt)
				for _, args := range [][]string{{"check", "-vv"}, {"--once", "-vv"}, {"--once", "--json", "-vv"}, {"list", "-vv"}, {"config", "show"}} {
					said, code := h.program(t, args...)
					if want := map[bool]int{true: 0, false: 77}[attempt == "accepted" || args[0] == "config"]; code != want {
						t.Fatalf("%s: popfetch %q: exit code %d, want %d:\n%s", where, args, code, want, said)
					}
					if args[0] != "config" && !strings.Contains(said, "C: ") {
						t.Fatalf("%s: popfetch %q: no trace:\n%s", where, args, said)
					}
					hunt(t, fmt.Sprintf("%s, popfetch %q", where, args), said, password, token, wrong)
				}
			}
		}
		for path, text := range written(t, h.dir) {
			hunt(t, method+": "+path, text, password, token, wrong)
		}
	}
	seen, err := os.ReadFile(filepath.Join(h.dir, "seen"))
	if err != nil || !bytes.Contains(seen, []byte("popfetch\x00--once")) {
		t.Errorf("the program has seen %d octets of other processes, %v", len(seen), err)
	}
}

// The same for a sign-in: the code, the verifier's proof, the tokens and the client secret.
func TestNoSecretOfASignInLeaves(t *testing.T) {
	t.Parallel()
	h := newHome(t, buildPopfetch(t))
	p := &oauthtest.Provider{ClientID: "client", ClientSecret: "GOCSPX-" + rand.Text(), User: "alice", Scope: "https://mail.google.com/", Rotate: true}
	p.Start()
	t.Cleanup(p.Close)
	cert, err := certtest.SelfSigned(certtest.Localhost())
	must(t, err)
	s := &pop3test.Server{
		TLS: &tls.Config{Certificates: []tls.Certificate{cert}}, SASL: []string{"XOAUTH2", "OAUTHBEARER"},
		Users: map[string]*pop3test.User{"alice": {Maildrop: pop3test.NewMaildrop(small(2)...)}},
	}
	must(t, s.Start())
	t.Cleanup(func() { s.Close() })
	trust := filepath.Join(h.dir, "ca.pem")
	must(t, os.WriteFile(trust, s.CertPEM(), 0o600))
	const mda = `mda = ["sh", "-c", "cat /proc/[0-9]*/cmdline /proc/[0-9]*/environ >>$HOME/seen 2>/dev/null; cat >/dev/null"]`
	h.configure(t, fmt.Sprintf("[account.work]\nserver = %q\nuser = \"alice\"\ntls_ca_file = %q\n%sclient_id = \"client\"\nclient_secret = %q\n%s\n", s.Addr(), trust, oauthTable("google", p), p.ClientSecret, mda))
	said := ""
	run := func(want int, args ...string) {
		t.Helper()
		text, code := h.program(t, args...)
		if code != want {
			t.Fatalf("popfetch %q: exit code %d, want %d:\n%s", args, code, want, text)
		}
		said += text
	}
	for _, browse := range []func(*testing.T) func(string) string{openHere, openElsewhere} {
		way := []string{"-vv"}
		if said != "" {
			way = append(way, "--paste")
		}
		r := h.authorize(t, 0, browse(t), way...)
		said += r.stdout + r.stderr
	}
	token, code := h.program(t, "token", "work") // which prints one, and nothing else
	if code != 0 || !slices.Contains(p.Issued(), strings.TrimSpace(token)) {
		t.Fatalf("popfetch token: %d, %q", code, token)
	}
	run(77, "--once", "-vv") // the mail server does not know the token, nor the next one
	p.Fail(400, `{"error":"invalid_grant","error_description":"`+p.ClientSecret+" "+strings.Join(p.Issued(), " ")+`"}`)
	run(77, "check", "-vv")
	p.Fail(503, strings.Join(p.Issued(), " "))
	run(77, "check", "-vv")
	p.Fail(0, "")
	p.Forget()
	run(77, "--once", "-vv", "--json")
	run(0, "config", "show")
	secrets := append(p.Issued(), p.ClientSecret)
	for i, issued := range secrets {
		if _, unique, ok := strings.Cut(issued, "-"); ok {
			secrets[i] = unique // "access-" is no secret
		}
	}
	hunt(t, "output", said, secrets...)
	for path, text := range written(t, h.dir) {
		hunt(t, path, text, secrets...)
	}
}
