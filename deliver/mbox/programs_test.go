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

// A mail program rewrites the mbox again and again while messages arrive: it flags every
// message, or deletes some. Nothing is lost, and nothing comes twice.
func TestMailProgramsRewriteWhileMessagesArrive(t *testing.T) {
	for name, test := range map[string]struct {
		program, pkg string
		command      func(path string) *exec.Cmd
	}{
		"mutt": {"mutt", "mutt", func(path string) *exec.Cmd {
			// mutt wants a terminal, which script(1) of Debian's bsdutils gives it.
			commands := "push '<tag-pattern>~A<enter><tag-prefix><clear-flag>N<tag-prefix><set-flag>!<sync-mailbox><quit>'"
			settings := "set mbox_type=mbox quit=yes delete=yes move=no mark_old=no wait_key=no"
			return exec.Command("script", "-qec", fmt.Sprintf("mutt -n -F /dev/null -e %q -e %q -f %q", settings, commands, path), "/dev/null")
		}},
		"mailutils": {"mail.mailutils", "mailutils", func(path string) *exec.Cmd {
			c := exec.Command("mail.mailutils", "-n", "-N", "-f", path)
			c.Stdin = strings.NewReader("type *\nquit\n")
			return c
		}},
	} {
		t.Run(name, func(t *testing.T) {
			needs(t, test.program, test.pkg)
			m := newMbox(t)
			m.Timeout = time.Minute
			texts := varied(160)
			deliverAll(t, m, texts[0])
			var done atomic.Bool
			runs := make(chan int)
			go func() {
				n := 0
				for !done.Load() || n == 0 {
					c := test.command(m.Path)
					c.Env = append(os.Environ(), "HOME="+filepath.Dir(m.Path), "TERM=dumb", "LC_ALL=C.UTF-8")
					if out, err := c.CombinedOutput(); err != nil {
						t.Logf("%s: %v\n%.300s", name, err, out)
					}
					n++
				}
				runs <- n
			}()
			for part := range slices.Chunk(texts[1:], 3) {
				deliverAll(t, m, part...)
			}
			done.Store(true)
			t.Logf("%d runs of %s", <-runs, name)
			count := map[string]int{}
			text, err := os.ReadFile(m.Path)
			if err != nil {
				t.Fatal(err)
			}
			flagged := strings.Count(string(text), "\nStatus: ")
			err = scan(strings.NewReader(string(text)), func(f found) { count[string(f.digest)]++ })
			if err != nil || len(count) != len(texts) {
				t.Errorf("%d different messages, want %d (%v)", len(count), len(texts), err)
			}
			for _, n := range count {
				if n != 1 {
					t.Errorf("a message is there %d times", n)
				}
			}
			if flagged == 0 {
				t.Errorf("%s has rewritten nothing", name)
			}
			if _, err := os.Stat(m.Path + lockSuffix); !errors.Is(err, os.ErrNotExist) {
				t.Errorf("a lock is left: %v", err)
			}
		})
	}
}
