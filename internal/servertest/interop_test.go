//go:build linux

package servertest_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"text/tabwriter"
	"time"

	"popfetch/internal/servertest"
)

// pollLimit is how long a poll may take. It is less than the timeout of popfetch, a minute, so
// a poll that waits for a reply in vain fails.
const pollLimit = 30 * time.Second

// journeys returns what popfetch does with each server. Each journey has its own user.
func journeys() []journey {
	return []journey{
		{"keep twice", "anna", nil, keepTwice("none")},
		{"delete", "bert", nil, deleteAll},
		{"STLS", "carl", func(s *servertest.Server) bool { return s.STLS }, keepTwice("starttls")},
		{"POP3S", "dora", func(s *servertest.Server) bool { return s.POP3S != "" }, keepTwice("implicit")},
		{"wrong password", "emil", nil, wrongPassword},
		{"busy maildrop", "fritz", nil, busyMaildrop},
	}
}

type journey struct {
	name, user string
	applies    func(*servertest.Server) bool // nil = to all
	travel     func(*visitor) error
}

// TestInterop fetches from real servers with the built popfetch. It runs those that start
// fast. With POPFETCH_INTEROP=1 it runs all of them and prints a table of the results.
func TestInterop(t *testing.T) {
	full := os.Getenv("POPFETCH_INTEROP") != ""
	if reason := servertest.Missing(); reason != "" {
		if full {
			t.Fatal(reason)
		}
		t.Skip("POP3 servers other than Dovecot: " + reason)
	}
	bin := filepath.Join(t.TempDir(), "popfetch")
	if out, err := exec.Command("go", "build", "-buildvcs=false", "-o", bin, "popfetch").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	var text bytes.Buffer
	table := tabwriter.NewWriter(&text, 0, 0, 2, ' ', 0)
	fmt.Fprint(table, "server")
	for _, j := range journeys() {
		fmt.Fprint(table, "\t", j.name)
	}
	fmt.Fprintln(table)
	for _, software := range servertest.All() {
		if !full && !software.Quick {
			continue
		}
		t.Run(software.Name, func(t *testing.T) {
			s, err := software.Start()
			if errors.Is(err, servertest.ErrNoPackages) && !full {
				t.Skip(err)
			}
			if err != nil {
				fmt.Fprintf(table, "%s\tdoes not start\n", software.Name)
				t.Fatal(err)
			}
			defer s.Close()
			fmt.Fprint(table, s.Name)
			for _, j := range journeys() {
				fmt.Fprint(table, "\t", j.outcome(t, s, bin))
			}
			fmt.Fprintln(table)
		})
	}
	table.Flush()
	if full {
		fmt.Print(text.String(), "seconds of a whole journey; - = the server has no such thing\n")
	}
}

// outcome runs a journey and returns its cell of the table. A failed one fails the test.
func (j journey) outcome(t *testing.T, s *servertest.Server, bin string) (cell string) {
	if j.applies != nil && !j.applies(s) {
		return "-"
	}
	t.Run(j.name, func(t *testing.T) {
		begin := time.Now()
		v := &visitor{Server: s, user: j.user, bin: bin, home: t.TempDir(), password: servertest.Password, tls: "none", keep: "true"}
		err := j.travel(v)
		cell = fmt.Sprintf("%.1f s", time.Since(begin).Seconds())
		if err == nil {
			return
		}
		cell = "FAILED"
		t.Errorf("%v\nlast poll: %s\nserver: %s", err, v.said, s.Log())
	})
	return cell
}

// visitor is a user of popfetch with an account at a server.
type visitor struct {
	*servertest.Server
	user, bin, home     string
	password, tls, keep string // of the account

	sent int    // messages so far
	said string // by the last poll, to its user
}

// deliver puts new messages into the maildrop.
func (v *visitor) deliver(n int) error {
	for range n {
		v.sent++
		text := fmt.Sprintf("From: Sender <sender@example.org>\nTo: %s@example.org\nSubject: %d\nDate: Thu, 26 Nov 2026 10:00:%02d +0000\nMessage-ID: <%[2]d.%[1]s@example.org>\n\n.a line with a dot\n\nThe end of %[2]d.\n", v.user, v.sent, v.sent)
		if err := v.Deliver(v.user, fmt.Sprintf("17000000%02d.M1P1.host", v.sent), []byte(text)); err != nil {
			return err
		}
	}
	return nil
}

// poll runs popfetch --once. It returns an error unless popfetch exits with code and delivers
// so many messages.
func (v *visitor) poll(code, delivered int) error {
	server := v.POP3
	if v.tls == "implicit" {
		server = v.POP3S
	}
	host, port, err := net.SplitHostPort(server)
	if err != nil {
		return err
	}
	config := fmt.Sprintf("state = \"~/state.db\"\n[account.work]\nserver = %q\nuser = %q\npassword = %q\ntls = %q\nmaildir = \"~/Mail\"\nkeep = %s\nreceived = false\n",
		net.JoinHostPort(host, port), v.user, v.password, v.tls, v.keep)
	if v.tls != "none" {
		config += fmt.Sprintf("tls_ca_file = %q\ntls_server_name = \"localhost\"\n", v.CertFile)
	}
	path := filepath.Join(v.home, "config.toml")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		return err
	}
	cmd := exec.Command(v.bin, "--once", "--json", "-vv", "-c", path)
	cmd.Env = []string{"HOME=" + v.home, "PATH=" + os.Getenv("PATH")}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begin := time.Now()
	err = cmd.Run()
	took := time.Since(begin)
	v.said = stdout.String() + stderr.String()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	var report struct {
		Delivered int
		Error     string
	}
	if err := json.Unmarshal(stdout.Bytes(), &report); err != nil {
		return fmt.Errorf("the report: %w", err)
	}
	switch got := cmd.ProcessState.ExitCode(); {
	case got != code:
		return fmt.Errorf("exit code %d instead of %d: %s", got, code, report.Error)
	case report.Delivered != delivered:
		return fmt.Errorf("%d messages delivered instead of %d", report.Delivered, delivered)
	case took > pollLimit:
		return fmt.Errorf("the poll took %v", took)
	}
	return nil
}

// complete checks that every message sent so far is in the Maildir, once and whole.
func (v *visitor) complete() error {
	var got, want []string
	paths, err := filepath.Glob(filepath.Join(v.home, "Mail", "new", "*"))
	if err != nil {
		return err
	}
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		_, rest, _ := strings.Cut(string(text), "Subject: ")
		subject, _, _ := strings.Cut(rest, "\n")
		if !strings.HasSuffix(strings.TrimRight(string(text), "\n"), ".a line with a dot\n\nThe end of "+subject+".") {
			return fmt.Errorf("message %s is not whole:\n%s", subject, text)
		}
		got = append(got, subject)
	}
	for i := range v.sent {
		want = append(want, fmt.Sprint(i+1))
	}
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		return fmt.Errorf("the Maildir has messages %q instead of %q", got, want)
	}
	return nil
}

// keepTwice polls with keep = true, then again with new mail, then with none.
func keepTwice(tls string) func(*visitor) error {
	return func(v *visitor) error {
		v.tls = tls
		for _, n := range []int{3, 2, 0} {
			if err := v.deliver(n); err != nil {
				return err
			}
			if err := v.poll(0, n); err != nil {
				return fmt.Errorf("%d new messages after %d: %w", n, v.sent-n, err)
			}
		}
		if v.Stamps {
			stamped, err := v.Stamped(v.user)
			if err != nil {
				return err
			}
			if !stamped {
				return errors.New("the server has not marked what was read, so this proves nothing")
			}
		}
		return v.complete()
	}
}

// deleteAll deletes what it fetches and, where the server has TOP, what was fetched before.
func deleteAll(v *visitor) error {
	if err := v.deliver(2); err != nil {
		return err
	}
	if v.TOP {
		if err := v.poll(0, 2); err != nil {
			return err
		}
	}
	v.keep = "false"
	if err := v.deliver(1); err != nil {
		return err
	}
	expected := 3
	if v.TOP {
		expected = 1
	}
	if err := v.poll(0, expected); err != nil {
		return err
	}
	if err := v.complete(); err != nil {
		return err
	}
	held, err := v.hold()
	if err != nil {
		return err
	}
	defer held.Close()
	if held.messages != 0 {
		return fmt.Errorf("%d messages are left on the server", held.messages)
	}
	return nil
}

// wrongPassword expects exit code 77, and the mail once the password is right.
func wrongPassword(v *visitor) error {
	if err := v.deliver(1); err != nil {
		return err
	}
	v.password = "not-this-one"
	if err := v.poll(77, 0); err != nil {
		return err
	}
	v.password = servertest.Password
	v.home = filepath.Join(v.home, "again") // without the record of the refusal
	if err := os.Mkdir(v.home, 0o700); err != nil {
		return err
	}
	if err := v.poll(0, 1); err != nil {
		return err
	}
	return v.complete()
}

// busyMaildrop expects exit code 75 while another session holds the maildrop, if the server
// locks it, and the mail afterwards.
func busyMaildrop(v *visitor) error {
	if err := v.deliver(1); err != nil {
		return err
	}
	held, err := v.hold()
	if err != nil {
		return err
	}
	defer held.Close()
	if v.Locks {
		if err := v.poll(75, 0); err != nil {
			return err
		}
		held.quit()
	}
	if err := v.poll(0, 1); err != nil {
		return err
	}
	return v.complete()
}

// session is one with the maildrop of a visitor.
type session struct {
	net.Conn
	r        *bufio.Reader
	messages int
}

// hold logs in and stays.
func (v *visitor) hold() (*session, error) {
	conn, err := net.Dial("tcp", v.POP3)
	if err != nil {
		return nil, err
	}
	conn.SetDeadline(time.Now().Add(2 * time.Minute))
	s := &session{Conn: conn, r: bufio.NewReader(conn)}
	reply, err := s.line()
	for _, command := range []string{"USER " + v.user, "PASS " + servertest.Password, "STAT"} {
		if err == nil {
			fmt.Fprintf(conn, "%s\r\n", command)
			reply, err = s.line()
		}
	}
	if err == nil {
		_, err = fmt.Sscanf(reply, "+OK %d", &s.messages)
	}
	if err != nil {
		conn.Close()
		return nil, fmt.Errorf("another session: %w", err)
	}
	return s, nil
}

func (s *session) line() (string, error) {
	line, err := s.r.ReadString('\n')
	if err == nil && !strings.HasPrefix(line, "+OK") {
		err = errors.New(line)
	}
	return line, err
}

// quit ends the session and returns when the server has closed the connection.
func (s *session) quit() {
	fmt.Fprint(s, "QUIT\r\n")
	s.r.WriteTo(bytes.NewBuffer(nil))
}
