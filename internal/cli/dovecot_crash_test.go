//go:build linux

package cli_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func testKill(t *testing.T, bin executable) {
	const n = 300
	d := startDovecot(t, true)
	for _, keep := range []string{"true", "false"} {
		for _, k := range []int{1, 50, 150} {
			t.Run(fmt.Sprintf("keep %s at %d", keep, k), func(t *testing.T) {
				var (
					user, work string
					held       mailbag
					h          *home
				)
				// On a busy machine a kill may come when everything is delivered.
				for attempt, got := 1, n; got == n; attempt++ {
					if attempt > 20 {
						t.Fatal("every kill came too late")
					}
					user = fmt.Sprintf("%s-%d-%d@example.org", keep, k, attempt)
					d.fill(t, user, n)
					held = d.holds(t, user)
					h = newHome(t, bin)
					h.configure(t, d.account("work", user, "implicit", "keep = "+keep))
					work = newMaildir(t, h, "Mail/work")

					killAt(t, h, filepath.Join(work, "new"), k)
					if got = len(entries(t, filepath.Join(work, "new"))); got < k {
						t.Fatalf("killed with %d messages delivered", got)
					}
				}
				sameMail(t, "the server after the kill", d.holds(t, user), held)

				h.silently(t)
				h.silently(t)
				sameMail(t, "all runs", inMaildir(t, work, stampOf("POP3S")), held)
				left := held
				if keep == "false" {
					left = nil
				}
				sameMail(t, "the server afterwards", d.holds(t, user), left)
			})
		}
	}
}

// killAt runs popfetch and kills it as soon as k files have come into dir, or lets it end
// well if it is faster than this process.
func killAt(t *testing.T, h *home, dir string, k int) {
	t.Helper()
	fd, err := unix.InotifyInit1(unix.IN_CLOEXEC | unix.IN_NONBLOCK)
	must(t, err)
	arrivals := os.NewFile(uintptr(fd), "inotify")
	defer arrivals.Close()
	_, err = unix.InotifyAddWatch(fd, dir, unix.IN_MOVED_TO|unix.IN_CREATE)
	must(t, err)

	cmd := h.command("--once")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	must(t, cmd.Start())
	ended := make(chan error, 1)
	go func() {
		ended <- cmd.Wait()
		arrivals.SetReadDeadline(time.Now())
	}()
	for buf := make([]byte, 64<<10); k > 0; {
		got, err := arrivals.Read(buf)
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break // it has ended
		}
		must(t, err)
		// inotify(7): the length of the name is the last of four words.
		for events := buf[:got]; len(events) > 0; k-- {
			name := binary.NativeEndian.Uint32(events[12:])
			events = events[unix.SizeofInotifyEvent+name:]
		}
	}
	cmd.Process.Kill()
	var exit *exec.ExitError
	err = <-ended
	if killed := errors.As(err, &exit) && exit.Sys().(syscall.WaitStatus).Signal() == syscall.SIGKILL; err != nil && !killed || out.Len() > 0 {
		t.Fatalf("popfetch has ended before it could be killed: %v\n%s", err, &out)
	}
}

// testKillInMDA kills popfetch while its MDA has a message in hand.
func testKillInMDA(t *testing.T, bin executable) {
	const (
		wait    = `[ -e "$2" ] && [ $(ls "$1/new" | wc -l) -eq 5 ] && read -r word < "$2"`
		deliver = `cat > "$1/tmp/$$" && mv "$1/tmp/$$" "$1/new/$POPFETCH_ID.$$" || exit 75`
	)
	d := startDovecot(t, true)
	for _, x := range []struct {
		name, script string
		copies       int // of the message in hand
	}{
		{"before", wait + " && exit 75\n" + deliver, 1},
		{"after", deliver + "\n" + wait + "\nexit 0", 2},
	} {
		t.Run(x.name+" it has delivered", func(t *testing.T) { killInMDA(t, d, bin, x.name+"@example.org", x.script, x.copies) })
	}
}

func killInMDA(t *testing.T, d *dovecot, bin executable, user, script string, copies int) {
	const n = 20
	d.fill(t, user, n)
	held := d.holds(t, user)
	h := newHome(t, bin)
	out := newMaildir(t, h, "sorted")
	gate := filepath.Join(h.dir, "gate")
	mda := writeScript(t, h, script)
	h.configure(t, d.account("work", user, "implicit", "keep = false", fmt.Sprintf("mda = [%q, %q, %q]", mda, out, gate)))

	p := startAtGate(t, h, gate)
	p.cmd.Process.Kill()
	<-p.ended
	p.open(t)
	sameMail(t, "the server after the kill", d.holds(t, user), held)
	h.silently(t)
	h.silently(t)
	sameMail(t, "the server afterwards", d.holds(t, user), nil)

	// A repeat has the delivery id of the message, so that a program can recognise it.
	ids := make(map[string]int)
	for _, name := range entries(t, filepath.Join(out, "new")) {
		id, _, _ := strings.Cut(name, ".")
		ids[id]++
	}
	got := inMaildir(t, out, stampOf("POP3S"))
	if len(ids) != n || got.count() != n+copies-1 {
		t.Errorf("%d messages with %d delivery ids, want %d with %d", got.count(), len(ids), n+copies-1, n)
	}
	for text := range got {
		got[text] = min(got[text], 1)
	}
	sameMail(t, "all runs", got, held)
}

// testTwoAtOnce starts popfetch while another one waits for its MDA, which
// waits for this test.
func testTwoAtOnce(t *testing.T, bin executable) {
	const n = 20
	d := startDovecot(t, true)
	d.fill(t, alice, n)
	held := d.holds(t, alice)
	h := newHome(t, bin)
	out := newMaildir(t, h, "sorted")
	gate := filepath.Join(h.dir, "gate")
	mda := writeScript(t, h, `if [ -e "$2" ]; then read -r word < "$2"; fi
cat > "$1/tmp/$$" && mv "$1/tmp/$$" "$1/new/$POPFETCH_ID.$$"`)
	h.configure(t, d.account("work", alice, "implicit", "keep = false", fmt.Sprintf("mda = [%q, %q, %q]", mda, out, gate)))

	first := startAtGate(t, h, gate)
	// It joins the poll of the first.
	second := make(chan error, 1)
	go func() { second <- h.command("--once").Run() }()
	first.open(t)
	if err := <-second; err != nil {
		t.Errorf("the second popfetch: %v", err)
	}
	if err := <-first.ended; err != nil || first.said.Len() > 0 {
		t.Errorf("the first popfetch: %v\n%s", err, &first.said)
	}
	h.silently(t)
	sameMail(t, "all runs", inMaildir(t, out, stampOf("POP3S")), held)
	sameMail(t, "the server afterwards", d.holds(t, alice), nil)
}

// waiting is a popfetch whose MDA waits to read from a FIFO.
type waiting struct {
	cmd   *exec.Cmd
	said  bytes.Buffer
	ended chan error
	gate  *os.File
}

// startAtGate makes the FIFO, starts popfetch, and returns when its MDA has
// opened it.
func startAtGate(t *testing.T, h *home, gate string) *waiting {
	t.Helper()
	must(t, unix.Mkfifo(gate, 0o600))
	w := &waiting{cmd: h.command("--once"), ended: make(chan error, 1)}
	w.cmd.Stdout, w.cmd.Stderr = &w.said, &w.said
	must(t, w.cmd.Start())
	t.Cleanup(func() { w.cmd.Process.Kill() })
	go func() { w.ended <- w.cmd.Wait() }()
	opened := make(chan *os.File, 1)
	go func() {
		// Each end of a FIFO waits until the other one is opened.
		f, _ := os.OpenFile(gate, os.O_WRONLY, 0)
		opened <- f
	}()
	select {
	case w.gate = <-opened:
	case err := <-w.ended:
		t.Fatalf("popfetch ends before its MDA has run: %v\n%s", err, &w.said)
	}
	t.Cleanup(func() { w.gate.Close() })
	return w
}

// open lets the MDA go on, and all that come after it.
func (w *waiting) open(t *testing.T) {
	t.Helper()
	must(t, os.Remove(w.gate.Name()))
	_, err := w.gate.WriteString("go\n")
	must(t, err)
}
