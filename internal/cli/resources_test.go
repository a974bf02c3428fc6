//go:build linux

package cli_test

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"

	"popfetch/fetch/pop3/pop3test"
)

// There are more accounts, and more messages in one, than file descriptors.
func TestFiveHundredAccountsWithFewDescriptors(t *testing.T) {
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
	r := newUserHome(t, config.String())
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

// zeros is a message of the given size that is generated while it is read.
func zeros(octets int64) pop3test.Message {
	const head, tail = "Subject: big\r\n\r\n", "\r\n"
	line := strings.Repeat("0", 1022) + "\r\n"
	return pop3test.Message{Octets: octets, Generate: func() io.Reader {
		body := io.LimitReader(&repeated{text: line}, octets-int64(len(head)+len(tail)))
		return io.MultiReader(strings.NewReader(head), body, strings.NewReader(tail))
	}}
}

// repeated repeats a text forever.
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

// The kernel cannot be asked to limit resident memory to 64 MiB, so the test reads
// the peak.
func TestMessageLargerThanMemoryPassesThrough(t *testing.T) {
	t.Parallel()
	sink := mailSink(t)
	octets, destinations := int64(96<<20), []string{
		`maildir = "~/Mail/work"`, `mbox = "~/mail/work.mbox"`, `mda = ["sh", "-c", "cat >/dev/null"]`,
		fmt.Sprintf("lmtp = %q", sink), fmt.Sprintf("smtp = %q", sink),
	}
	if os.Getenv("POPFETCH_TORTURE") == "1" {
		octets = 2<<30 + 4096
	}
	for _, destination := range destinations {
		s := clearServer(t, zeros(octets))
		config := fmt.Sprintf("[account.work]\nserver = %q\nuser = \"alice\"\npassword = %q\ntls = \"none\"\nkeep = false\n%s\n", s.Addr(), secret, destination)
		r := newUserHome(t, config)
		if octets > 1<<30 { // too much for a place in memory
			r.dir = t.TempDir()
			r.configure(config)
		}
		cmd := r.command("exec popfetch --once")
		peak := make(chan int64, 1)
		s.SetFaults(pop3test.Fault{At: "QUIT", Hook: func() { peak <- peakMemory(cmd.Process.Pid) }})
		if out, err := cmd.CombinedOutput(); err != nil || len(out) > 0 {
			t.Fatalf("%s: %v: %s", destination, err, out)
		}
		got := <-peak
		t.Logf("%s: %d MiB of memory at most", destination, got>>20)
		if got == 0 || got > 64<<20 {
			t.Errorf("%s: it took %d MiB of memory", destination, got>>20)
		}
		s.Wait()
		if left := s.Users["alice"].Maildrop.Messages(); len(left) > 0 {
			t.Errorf("%s: %d messages are left on the server", destination, len(left))
		}
	}
}

// peakMemory is the peak of the resident memory of a process in octets, 0 if it
// cannot be read. The peak that wait4(2) reports starts with the parent's memory.
func peakMemory(pid int) int64 {
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
