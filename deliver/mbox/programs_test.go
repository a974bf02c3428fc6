//go:build linux

package mbox

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// needs skips the test if a program is missing, and names its Debian package.
func needs(t *testing.T, program, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(program); err != nil {
		t.Skipf("%s is not installed (Debian: apt-get install %s)", program, pkg)
	}
}

// varied returns n messages of many kinds.
func varied(n int) []string {
	var texts []string
	for i := range n {
		body := []string{
			"plain text\r\n",
			"From here\r\n>From there\r\n>>From everywhere\r\n From\r\nfrom\r\n",
			"no end of line",
			"",
			"\r\n\r\nempty lines\r\n\r\n\r\n",
			"8 bit \xe4\xf6\xfc\r\nCR \r in a line\r\n",
			strings.Repeat("a long line ", 5000) + "\r\n",
			strings.Repeat("many lines\r\n", 20_000),
			"\r\nFrom a@example.org Fri Nov  6 06:08:09 2026\r\n\r\nSubject: not a message\r\n",
		}[i%9]
		texts = append(texts, fmt.Sprintf("Message-ID: <%d@example.org>\r\nFrom: me@example.org\r\nSubject: %d\r\n\r\n%s", i, i, body))
	}
	return texts
}

// Python's mailbox module knows no mboxrd, so that the test takes the ">" away, as mutt's
// and Dovecot's readers of mboxrd do.
func TestPythonReadsBackEveryOctet(t *testing.T) {
	needs(t, "python3", "python3")
	m := newMbox(t)
	texts := varied(200)
	for part := range slices.Chunk(texts, groupSize) {
		deliverAll(t, m, part...)
	}
	const script = `
import mailbox, re, sys, os
box = mailbox.mbox(sys.argv[1])
for i, key in enumerate(sorted(box.keys())):
    text = box.get_bytes(key)
    text = re.sub(rb'(?m)^>(>*From )', rb'\1', text)
    open(os.path.join(sys.argv[2], str(i)), 'wb').write(text)
`
	out := t.TempDir()
	if text, err := exec.Command("python3", "-c", script, m.Path, out).CombinedOutput(); err != nil {
		t.Fatalf("python3: %v\n%s", err, text)
	}
	files, err := os.ReadDir(out)
	if err != nil || len(files) != len(texts) {
		t.Fatalf("python3 reads %d messages, want %d (%v)", len(files), len(texts), err)
	}
	for i, text := range texts {
		got, err := os.ReadFile(filepath.Join(out, fmt.Sprint(i)))
		if err != nil || string(got) != stored(text) {
			t.Errorf("message %d: %v, %d octets, want %d", i, err, len(got), len(stored(text)))
		}
	}
}

// mutt wants a terminal, which script(1) of Debian's bsdutils gives it. It rewrites the
// mbox in its place.
func muttFlagsAll(path string) *exec.Cmd {
	commands := "push '<tag-pattern>~A<enter><tag-prefix><clear-flag>N<tag-prefix><set-flag>!<sync-mailbox><quit>'"
	settings := "set mbox_type=mbox quit=yes delete=yes move=no mark_old=no wait_key=no"
	return exec.Command("script", "-qec", fmt.Sprintf("mutt -n -F /dev/null -e %q -e %q -f %q", settings, commands, path), "/dev/null")
}

// Python's mailbox module puts a new file in the place of the mbox.
func pythonFlagsAll(path string) *exec.Cmd {
	const script = `
import mailbox, sys, time
box = mailbox.mbox(sys.argv[1])
while True:
    try:
        box.lock()
        break
    except mailbox.ExternalClashError:
        time.sleep(0.01)
for key, message in box.items():
    message.add_flag('RO')
    box[key] = message
box.flush()
box.unlock()
`
	return exec.Command("python3", "-c", script, path)
}

func mailutilsReadsAll(path string) *exec.Cmd {
	c := exec.Command("mail.mailutils", "-n", "-N", "-f", path)
	c.Stdin = strings.NewReader("type *\nquit\n")
	return c
}

// run starts a mail program for the mbox and waits for its end.
func run(m *Mbox, c *exec.Cmd) error {
	c.Env = append(os.Environ(), "HOME="+filepath.Dir(m.Path), "TERM=dumb", "LC_ALL=C.UTF-8")
	if out, err := c.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%.300s", c.Path, err, out)
	}
	return nil
}

// wantEachOnce checks that the mbox holds n different messages, each once, that a mail
// program has written there, and that no lock is left.
func wantEachOnce(t *testing.T, m *Mbox, n int) {
	t.Helper()
	text, err := os.ReadFile(m.Path)
	if err != nil {
		t.Fatal(err)
	}
	count := map[string]int{}
	err = scan(strings.NewReader(string(text)), func(f found) { count[string(f.digest)]++ })
	if err != nil || len(count) != n {
		t.Errorf("%d different messages, want %d (%v)", len(count), n, err)
	}
	for _, n := range count {
		if n != 1 {
			t.Errorf("a message is there %d times", n)
		}
	}
	if !strings.Contains(string(text), "\nStatus: ") {
		t.Error("the mail program has rewritten nothing")
	}
	if _, err := os.Stat(m.Path + lockSuffix); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a lock is left: %v", err)
	}
}

// A mail program flags every message of the mbox again and again while messages arrive:
// nothing is lost, and nothing comes twice.
func TestMailProgramsRewriteWhileMessagesArrive(t *testing.T) {
	for program, flagAll := range map[string]func(path string) *exec.Cmd{
		"mutt":    muttFlagsAll,
		"python3": pythonFlagsAll,
	} {
		t.Run(program, func(t *testing.T) {
			needs(t, program, program)
			m := newMbox(t)
			m.Timeout = time.Minute
			texts := varied(160)
			deliverAll(t, m, texts[0])
			var done atomic.Bool
			var runs sync.WaitGroup
			runs.Go(func() {
				for n := 1; ; n++ {
					if err := run(m, flagAll(m.Path)); err != nil {
						t.Error(err)
					}
					if done.Load() {
						t.Logf("%d runs", n)
						return
					}
				}
			})
			defer runs.Wait()
			defer done.Store(true)
			for part := range slices.Chunk(texts[1:], 6) {
				deliverAll(t, m, part...)
			}
			done.Store(true)
			runs.Wait()
			wantEachOnce(t, m, len(texts))
		})
	}
}

// GNU Mailutils 3.15 crashes when an mbox that it has open grows, whoever writes to it, and
// leaves its lock file; so its runs and the deliveries take turns.
func TestMailutilsRewritesBetweenDeliveries(t *testing.T) {
	needs(t, "mail.mailutils", "mailutils")
	m := newMbox(t)
	texts := varied(30)
	for part := range slices.Chunk(texts, 3) {
		deliverAll(t, m, part...)
		if err := run(m, mailutilsReadsAll(m.Path)); err != nil {
			t.Error(err)
		}
	}
	wantEachOnce(t, m, len(texts))
}
