// Command demo shows popfetch at work, without any mail server or account: it
// starts its own POP3 server with a mailbox, has popfetch fetch the mail,
// and checks every octet of what arrived.
//
//	go run ./fetch/pop3/pop3test/demo ./popfetch
//
// It exits with 1 if anything is not as promised, and removes its files.
package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: demo PATH-OF-POPFETCH")
		os.Exit(64)
	}
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Stdout, os.Args[1], mailbox())
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "\ndemo:", err)
		os.Exit(1)
	}
}

const (
	user     = "demo@example.org"
	password = "correct horse battery staple"
)

// demo is one run.
type demo struct {
	out      io.Writer
	popfetch string // absolute path
	dir      string // everything is below
	server   *pop3test.Server
	maildrop *pop3test.Maildrop
}

func run(ctx context.Context, out io.Writer, popfetch string, mail []pop3test.Message) error {
	popfetch, err := filepath.Abs(popfetch)
	if err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "popfetch-demo-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)

	d := &demo{out: out, popfetch: popfetch, dir: dir, maildrop: pop3test.NewMaildrop(mail...)}
	d.server = &pop3test.Server{Users: map[string]*pop3test.User{user: {Password: password, Maildrop: d.maildrop}}}
	if err := d.server.Start(); err != nil {
		return err
	}
	defer d.server.Close()
	if err := d.configure(); err != nil {
		return err
	}
	for _, step := range []func(context.Context) error{d.list, d.fetch, d.again} {
		if err := step(ctx); err != nil {
			return err
		}
	}
	d.say("All as promised.")
	return nil
}

func (d *demo) say(format string, args ...any) { fmt.Fprintf(d.out, "\n"+format+"\n", args...) }

func (d *demo) path(name string) string { return filepath.Join(d.dir, name) }

// configure writes the configuration, mode 0600 because of the password.
func (d *demo) configure() error {
	config := fmt.Sprintf(`state = %q

[account.demo]
server = %q
user = %q
password = %q
tls = "implicit"
tls_ca_file = %q
maildir = %q
keep = true
`, d.path("state.db"), d.server.Addr(), user, password, d.path("ca.pem"), d.path("Mail"))
	if err := os.WriteFile(d.path("ca.pem"), d.server.CertPEM(), 0o600); err != nil {
		return err
	}
	if err := os.WriteFile(d.path("config.toml"), []byte(config), 0o600); err != nil {
		return err
	}
	d.say("A POP3 server with TLS listens on %s, and %d messages wait there for %s.\nThe configuration is:\n\n%s",
		d.server.Addr(), len(d.maildrop.Messages()), user, indent(strings.ReplaceAll(config, password, "***")))
	return nil
}

// run runs popfetch with arguments, shows both and returns what it printed.
func (d *demo) run(ctx context.Context, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	d.say("$ popfetch --config config.toml %s", strings.Join(args, " "))
	cmd := exec.CommandContext(ctx, d.popfetch, append([]string{"--config", d.path("config.toml")}, args...)...)
	cmd.Dir = d.dir
	cmd.Env = append(os.Environ(), "HOME="+d.dir)
	var output bytes.Buffer
	cmd.Stdout, cmd.Stderr = &output, &output
	err := cmd.Run()
	fmt.Fprint(d.out, indent(output.String()))
	if err != nil {
		return "", fmt.Errorf("popfetch %s: %w", strings.Join(args, " "), err)
	}
	if strings.Contains(output.String(), password) {
		return "", fmt.Errorf("popfetch %s printed the password", strings.Join(args, " "))
	}
	return output.String(), nil
}

// list runs popfetch list, which must not fetch anything.
func (d *demo) list(ctx context.Context) error {
	output, err := d.run(ctx, "list")
	if err != nil {
		return err
	}
	for _, m := range d.maildrop.Messages() {
		if !strings.Contains(output, m.UID) {
			return fmt.Errorf("the listing lacks the unique-id %s", m.UID)
		}
	}
	if n := d.retrieved(); n > 0 {
		return fmt.Errorf("list has retrieved %d messages", n)
	}
	return nil
}

// fetch is the first poll: all messages arrive and stay on the server.
func (d *demo) fetch(ctx context.Context) error {
	waiting := d.maildrop.Messages()
	if _, err := d.run(ctx, "--once", "-v"); err != nil {
		return err
	}
	files, err := arrived(d.path("Mail"))
	if err != nil {
		return err
	}
	d.say("Now the Maildir holds:\n")
	if err := show(d.out, files); err != nil {
		return err
	}
	if err := compare(files, waiting); err != nil {
		return err
	}
	if left := len(d.maildrop.Messages()); left != len(waiting) {
		return fmt.Errorf("%d of %d messages are left on the server, keep = true promises all", left, len(waiting))
	}
	d.say("Each of the %d files is, octet by octet, what the server holds: LF for CRLF,\none Received field in front. The server still has them all (keep = true).", len(files))
	return nil
}

// again is a poll with nothing new.
func (d *demo) again(ctx context.Context) error {
	waiting, before := d.maildrop.Messages(), d.retrieved()
	output, err := d.run(ctx, "--once")
	if err != nil {
		return err
	}
	if output != "" {
		return fmt.Errorf("the second poll has something to say, and should be silent for cron: %q", output)
	}
	if now := d.retrieved(); now != before {
		return fmt.Errorf("the second poll has retrieved %d messages again", now-before)
	}
	files, err := arrived(d.path("Mail"))
	if err != nil {
		return err
	}
	if err := compare(files, waiting); err != nil {
		return err
	}
	d.say("Nothing new, so nothing is printed. The server was asked for %d messages before\nand for none since: RETR went out %d times in %d sessions.",
		before, d.retrieved(), d.maildrop.Sessions())
	return nil
}

// retrieved counts the messages that the server was asked for.
func (d *demo) retrieved() int {
	n := 0
	for _, m := range d.maildrop.Messages() {
		n += d.maildrop.Retrieved(m.UID)
	}
	return n
}

func indent(text string) string {
	if text == "" {
		return ""
	}
	return "    " + strings.ReplaceAll(strings.TrimRight(text, "\n"), "\n", "\n    ") + "\n"
}
