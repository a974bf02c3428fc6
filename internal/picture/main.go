//go:build linux

// Command picture runs popfetch on a pseudo-terminal, against a POP3 server of its own, and
// draws what the terminal shows as an SVG image.
//
//	go run ./internal/picture ./popfetch docs/session.svg
//
// Nothing in the image is made up; the server is on this machine, and its port is fixed so
// that two runs look alike.
package main

import (
	"crypto/tls"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"popfetch/fetch/pop3/pop3test"
	"popfetch/internal/certtest"
)

const (
	address  = "ada@example.org"
	password = "correct horse battery staple"
)

// act is one command, and what is typed when it asks.
type act struct {
	command string
	answers []answer
}

type answer struct {
	question, typed string
	secret          bool // typed once the terminal no longer shows what is typed
}

func session(server string) []act {
	return []act{
		{"popfetch init " + address + " --server " + server, []answer{
			{"Password of", password, true}, {"Maildir [", "", false}, {"Keep mail", "14d", false}, {"Keep the password", "file", false},
		}},
		{"popfetch --once", nil},
		{"popfetch --once", nil},
		{"popfetch status", nil},
	}
}

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: picture PATH-OF-POPFETCH IMAGE.svg")
		os.Exit(64)
	}
	shown, err := play(os.Args[1], "127.0.0.1:9950")
	if err == nil {
		err = os.WriteFile(os.Args[2], []byte(draw(shown)), 0o644)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "picture:", err)
		os.Exit(1)
	}
}

// play runs the commands in a new home directory, with the server listening on listen, and
// returns the lines on the terminal.
func play(popfetch, listen string) (lines []string, err error) {
	if popfetch, err = filepath.Abs(popfetch); err != nil {
		return nil, err
	}
	home, err := os.MkdirTemp("", "popfetch-picture-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(home)
	var mail []pop3test.Message
	for i := range 40 {
		text := fmt.Sprintf("From: Bob <bob@example.org>\nSubject: message %d\nMessage-ID: <%d@example.org>\n\n%s", i, i, strings.Repeat("All is well.\n", 100*i))
		mail = append(mail, pop3test.Message{UID: fmt.Sprint("uid", i), Raw: pop3test.Text(text)})
	}
	names := certtest.Localhost()
	names.End = time.Now().AddDate(1, 0, 0) // or popfetch would warn
	certificate, err := certtest.SelfSigned(names)
	if err != nil {
		return nil, err
	}
	server := &pop3test.Server{Listen: listen, TLS: &tls.Config{Certificates: []tls.Certificate{certificate}}, Users: map[string]*pop3test.User{address: {Password: password, Maildrop: pop3test.NewMaildrop(mail...)}}}
	if err := server.Start(); err != nil {
		return nil, err
	}
	defer server.Close()
	authority := filepath.Join(home, "ca.pem")
	if err := os.WriteFile(authority, server.CertPEM(), 0o600); err != nil {
		return nil, err
	}
	for _, a := range session(server.Addr()) {
		cmd := exec.Command(popfetch, strings.Fields(a.command)[1:]...)
		cmd.Dir = home
		cmd.Env = []string{"HOME=" + home, "PATH=" + os.Getenv("PATH"), "TERM=xterm", "LC_ALL=C.UTF-8", "TZ=UTC", "SSL_CERT_FILE=" + authority}
		output, err := onTerminal(cmd, a.answers)
		if err != nil {
			return nil, fmt.Errorf("%s: %w; it shows\n%s", a.command, err, output)
		}
		lines = append(append(lines, "$ "+a.command), screen(strings.ReplaceAll(output, home, "/home/ada"))...)
		lines = append(lines, "")
	}
	return append(lines, "$ "), nil
}
