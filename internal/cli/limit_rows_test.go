//go:build linux

package cli_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"popfetch/fetch/pop3/pop3test"
)

// resident is a user's home directory in memory, where there is such a place, and
// the popfetch of this test binary.
type resident struct {
	t   *testing.T
	dir string
}

func newResident(t *testing.T, config string) *resident {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "popfetch-test-")
	if err != nil {
		dir = t.TempDir()
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	r := &resident{t, dir}
	r.configure(config)
	return r
}

func (r *resident) configure(text string) {
	r.t.Helper()
	dir := filepath.Join(r.dir, ".config", "popfetch")
	if err := errors.Join(os.MkdirAll(dir, 0o700), os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600)); err != nil {
		r.t.Fatal(err)
	}
}

// command is popfetch, started by a shell that does before what is to be done in
// the process itself: set limits, close descriptors. "exec popfetch" stands
// behind that.
func (r *resident) command(shell string, env ...string) *exec.Cmd {
	cmd := exec.Command("sh", "-c", shell)
	cmd.Dir = r.dir
	cmd.Env = append([]string{"HOME=" + r.dir, "PATH=" + os.Getenv("PATH")}, env...)
	return cmd
}

// ended is how a run ended.
type ended struct {
	code           int
	stdout, stderr string
}

func (r *resident) run(shell string, env ...string) ended {
	r.t.Helper()
	cmd := r.command(shell, env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil && cmd.ProcessState == nil {
		r.t.Fatal(err)
	}
	return ended{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// exits is run for a run that has to end with a code.
func (r *resident) exits(code int, shell string, env ...string) ended {
	r.t.Helper()
	e := r.run(shell, env...)
	if e.code != code {
		r.t.Fatalf("%s: exit code %d, want %d; it says\n%.3000s%.3000s", shell, e.code, code, e.stdout, e.stderr)
	}
	return e
}

// mail counts the files in a part of a Maildir.
func (r *resident) mail(account, part string) int {
	r.t.Helper()
	entries, err := os.ReadDir(filepath.Join(r.dir, "Mail", account, part))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		r.t.Fatal(err)
	}
	return len(entries)
}

// N15 of the fault matrix: more accounts, and more messages, than there are
// descriptors for.
func TestRowN15FiveHundredAccountsWithFewDescriptors(t *testing.T) {
	t.Parallel()
	const accounts, big = 500, 200
	s := &pop3test.Server{Security: pop3test.ClearText, Users: make(map[string]*pop3test.User)}
	var config strings.Builder
	fmt.Fprintf(&config, "parallel = 16\nparallel_per_host = 16\n[defaults]\nmaildir = \"~/Mail/{account}\"\ntls = \"none\"\npassword = %q\n", secret)
	for i := range accounts {
		name := fmt.Sprintf("a%03d", i)
		n := 1
		if i < 3 {
			n = big
		}
		var all []pop3test.Message
		for j := range n {
			all = append(all, pop3test.Message{UID: fmt.Sprintf("u%d", j), Raw: pop3test.Text("Subject: x\n\nHello.\n")})
		}
		s.Users[name] = &pop3test.User{Password: secret, Maildrop: pop3test.NewMaildrop(all...)}
	}
	if err := s.Start(); err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	for name := range s.Users {
		fmt.Fprintf(&config, "[account.%s]\nserver = %q\nuser = %q\n", name, s.Addr(), name)
	}
	r := newResident(t, config.String())
	e := r.exits(0, "ulimit -n 64; exec popfetch --once")
	if e.stdout+e.stderr != "" {
		t.Errorf("it says %.1000s%.1000s", e.stdout, e.stderr)
	}
	for i := range accounts {
		name, want := fmt.Sprintf("a%03d", i), 1
		if i < 3 {
			want = big
		}
		if n := r.mail(name, "new"); n != want {
			t.Errorf("%s has %d messages, want %d", name, n, want)
		}
	}
}

// zeros is a message of so many octets that is made while it is read.
func zeros(octets int64) pop3test.Message {
	const head, tail = "Subject: big\r\n\r\n", "\r\n"
	line := strings.Repeat("0", 1022) + "\r\n"
	return pop3test.Message{Octets: octets, Generate: func() io.Reader {
		body := io.LimitReader(&repeated{text: line}, octets-int64(len(head)+len(tail)))
		return io.MultiReader(strings.NewReader(head), body, strings.NewReader(tail))
	}}
}

// repeated is a text without an end.
type repeated struct {
	text string
	at   int
}

func (r *repeated) Read(p []byte) (int, error) {
	n := 0
	for n < len(p) {
		m := copy(p[n:], r.text[r.at:])
		n, r.at = n+m, (r.at+m)%len(r.text)
	}
	return n, nil
}

// N16: a message that is far bigger than the memory that there is. 64 MB are not a
// limit that the kernel can be asked for, so the peak is looked at.
func TestRowN16MessageBiggerThanTheMemory(t *testing.T) {
	t.Parallel()
	octets, destinations := int64(96<<20), []string{`maildir = "~/Mail/work"`, `mda = ["sh", "-c", "cat >/dev/null"]`}
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		octets = 2<<30 + 4096
	}
	for _, destination := range destinations {
		s := clearServer(t, zeros(octets))
		config := fmt.Sprintf("[account.work]\nserver = %q\nuser = \"alice\"\npassword = %q\ntls = \"none\"\nkeep = false\n%s\n", s.Addr(), secret, destination)
		r := newResident(t, config)
		if octets > 1<<30 { // too much for a place in memory
			r.dir = t.TempDir()
			r.configure(config)
		}
		cmd := r.command("exec popfetch --once")
		peak := make(chan int64, 1)
		s.SetFaults(pop3test.Fault{At: "QUIT", Hook: func() { peak <- mostResident(cmd.Process.Pid) }})
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v: %s", destination, err, out)
		}
		if got := <-peak; got == 0 || got > 64<<20 {
			t.Errorf("%s: it took %d MiB of memory", destination, got>>20)
		}
		s.Wait()
		if left := s.Users["alice"].Maildrop.Messages(); len(left) > 0 {
			t.Errorf("%s: %d messages are left on the server", destination, len(left))
		}
	}
}

// mostResident is the peak of the memory of a process in octets, 0 where it cannot be
// read. What wait4(2) says of it begins with the memory of the parent.
func mostResident(pid int) int64 {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		var kib int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kib); err == nil {
			return kib << 10
		}
	}
	return 0
}

// proxied is a SOCKS proxy that does with each connection what serve does.
func proxied(t *testing.T, serve func(conn net.Conn)) (addr string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			conn, err := l.Accept()
			if err != nil {
				return
			}
			conn.SetDeadline(time.Now().Add(patience))
			serve(conn)
			conn.Close()
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
	})
	return l.Addr().String()
}

// N17: a proxy that refuses, closes or talks nonsense is a temporary error of its
// account that names it; no password goes there.
func TestRowN17ProxyThatIsOfNoUse(t *testing.T) {
	t.Parallel()
	greets := func(conn net.Conn) bool { // RFC 1928 section 3
		_, err := io.ReadFull(conn, make([]byte, 3))
		return err == nil
	}
	answers := func(reply byte) func(net.Conn) {
		return func(conn net.Conn) {
			if !greets(conn) {
				return
			}
			conn.Write([]byte{5, 0})
			io.ReadFull(conn, make([]byte, 10)) // CONNECT to an IPv4 address and a port
			conn.Write([]byte{5, reply, 0, 1, 0, 0, 0, 0, 0, 0})
		}
	}
	silent := func(conn net.Conn) { io.Copy(io.Discard, conn) }
	for name, serve := range map[string]func(net.Conn){
		"closes at once":               func(net.Conn) {},
		"takes none of our methods":    func(c net.Conn) { greets(c); c.Write([]byte{5, 0xff}) },
		"closes after the methods":     func(c net.Conn) { greets(c); c.Write([]byte{5, 0}) },
		"is no proxy":                  func(c net.Conn) { c.Write([]byte("HTTP/1.1 400 Bad Request\r\n\r\n\x1b[2J")) },
		"refuses: general failure":     answers(1),
		"refuses: not allowed":         answers(2),
		"refuses: host unreachable":    answers(4),
		"refuses: connection refused":  answers(5),
		"refuses: nobody knows why":    answers(200),
		"says nothing":                 silent,
		"connects, and closes at once": answers(0),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := clearServer(t, pop3test.Message{Raw: pop3test.Text("Subject: x\n\nHello.\n")})
			text := fmt.Sprintf("[defaults]\nserver = %q\nuser = \"alice\"\npassword = %q\ntls = \"none\"\ntimeout = \"300ms\"\nmaildir = \"~/Mail/{account}\"\n", s.Addr(), secret)
			r := newResident(t, text+fmt.Sprintf("[account.far]\nuser = \"bob\"\nproxy = \"socks5://%s\"\n[account.near]\n", proxied(t, serve)))
			e := r.exits(75, "exec popfetch --once")
			lines := strings.Split(strings.TrimSpace(e.stderr), "\n")
			if !strings.HasPrefix(lines[0], "popfetch: far: ") || strings.ContainsAny(e.stderr, "\x1b\r") || strings.Contains(e.stderr, secret) || len(lines) > 2 {
				t.Errorf("it says %q", e.stderr)
			}
			if r.mail("near", "new") != 1 {
				t.Error("the other account was not polled")
			}
		})
	}
}
