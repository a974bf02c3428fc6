//go:build linux

package torture

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// kind is how an account of a trial delivers.
type kind struct {
	to      way
	keep    bool
	stamped bool // with the Received field of popfetch
	// receiver is the server that takes the mail, nil if that goes to a file or a program.
	receiver receiver
}

func (k kind) String() string {
	text := string(k.to)
	if k.stamped {
		text += " stamped"
	}
	return text + map[bool]string{false: " delete", true: " keep"}[k.keep]
}

// home holds all files of one user of popfetch.
type home struct {
	kind
	bin   string
	dir   string // configuration and the program that is his MDA
	mail  string // Maildir, mbox, or where the MDA puts messages
	state string // directory of the state file
}

// newHome makes a home in dir. popfetch makes the Maildir below place, and the state too; with
// apart, the state below dir.
func newHome(bin, dir, place string, apart bool, k kind, s server) (*home, error) {
	h := &home{kind: k, bin: bin, dir: dir, mail: filepath.Join(place, "mail"), state: filepath.Join(place, "state")}
	if apart {
		h.state = filepath.Join(dir, "state")
	}
	text := fmt.Sprintf("state = %q\n[account.a]\nserver = %q\nuser = %q\npassword = %q\ntls = \"none\"\ntimeout = \"5s\"\nreceived = %v\nkeep = %v\n",
		filepath.Join(h.state, "state.db"), s.addr(), s.user(), password, k.stamped, k.keep)
	switch {
	case k.receiver != nil:
		text += k.receiver.keys()
	case k.to == toMDA:
		text += fmt.Sprintf("mda = [%q, %q]\n", filepath.Join(dir, "mda"), h.mail)
		if err := os.MkdirAll(h.mail, 0o700); err != nil {
			return nil, err
		}
	default:
		text += fmt.Sprintf("%s = %q\n", k.to, h.mail)
	}
	return h, firstOf(
		os.MkdirAll(dir, 0o700),
		os.WriteFile(filepath.Join(dir, "config.toml"), []byte(text), 0o600),
		// The name of the file holds the delivery id and the process.
		os.WriteFile(filepath.Join(dir, "mda"), []byte("#!/bin/sh\ncat >\"$1/.$$\" && mv \"$1/.$$\" \"$1/$POPFETCH_ID.$$\"\n"), 0o700),
	)
}

func firstOf(errs ...error) error {
	for _, err := range errs {
		if err != nil {
			return err
		}
	}
	return nil
}

// inbox is the directory in which delivered messages appear.
func (h *home) inbox() string {
	if h.to == toMDA {
		return h.mail
	}
	return filepath.Join(h.mail, "new")
}

// argv is the command line of popfetch, behind wrap.
func (h *home) argv(wrap ...string) []string {
	return append(wrap, h.bin, "--config", filepath.Join(h.dir, "config.toml"), "--once")
}

// ended is how a run of popfetch ended.
type ended struct {
	code   int  // exit code, -1 after a signal
	killed bool // by SIGKILL
	said   string
}

func (e ended) String() string {
	if e.killed {
		return "killed"
	}
	return fmt.Sprintf("exit code %d, %q", e.code, e.said)
}

// expected reports whether the exit code fits a failing disk (delivery, state, temporary) or a
// fault without effect (0).
func (e ended) expected() bool {
	return e.code == 73 || e.code == 74 || e.code == 75 || e.code == 0
}

// runLimit is how long a run may take.
const runLimit = 90 * time.Second

// process is a running popfetch, or strace running popfetch.
type process struct {
	cmd  *exec.Cmd
	said bytes.Buffer
	done chan struct{}
	stop context.CancelFunc
	late bool
}

func (h *home) start(argv []string) (*process, error) {
	ctx, cancel := context.WithTimeout(context.Background(), runLimit)
	p := &process{cmd: exec.Command(argv[0], argv[1:]...), done: make(chan struct{}), stop: cancel}
	p.cmd.Dir = h.dir
	p.cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + h.dir, "LC_ALL=C"}
	p.cmd.Stdout, p.cmd.Stderr = &p.said, &p.said
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := p.cmd.Start(); err != nil {
		cancel()
		return nil, err
	}
	go func() {
		<-ctx.Done()
		if ctx.Err() == context.DeadlineExceeded {
			p.late = true
			p.kill()
		}
	}()
	go func() {
		p.cmd.Wait()
		cancel()
		close(p.done)
	}()
	return p, nil
}

// kill kills popfetch, and strace if that runs it, and waits for the end.
func (p *process) kill() {
	select {
	case <-p.done:
	default:
		syscall.Kill(-p.cmd.Process.Pid, syscall.SIGKILL)
		<-p.done
	}
}

func (p *process) wait() ended {
	<-p.done
	status := p.cmd.ProcessState.Sys().(syscall.WaitStatus)
	return ended{
		code: p.cmd.ProcessState.ExitCode(), said: p.said.String(),
		killed: !p.late && status.Signaled() && status.Signal() == syscall.SIGKILL,
	}
}

// run runs popfetch to its end.
func (h *home) run(wrap ...string) (ended, error) {
	p, err := h.start(h.argv(wrap...))
	if err != nil {
		return ended{}, err
	}
	return p.wait(), nil
}

// waitForOrphans waits for MDAs that outlive a killed popfetch: they still deliver.
func (h *home) waitForOrphans() {
	if h.to != toMDA {
		return
	}
	paths, _ := filepath.Glob("/proc/[0-9]*/cmdline")
	for _, path := range paths {
		text, err := os.ReadFile(path)
		if err != nil || !bytes.Contains(text, []byte(h.mail)) {
			continue
		}
		var pid int
		if _, err := fmt.Sscanf(path, "/proc/%d/", &pid); err == nil {
			unix.Wait4(pid, nil, 0, nil) // fails for what is not our child
		}
	}
}

// readMail does what a mail reader does: it moves messages from new/ to cur/ and sets flags,
// or rewrites an mbox.
func (h *home) readMail() error {
	if h.to == toMbox {
		return readMbox(h.mail)
	}
	if h.to != toMaildir {
		return nil
	}
	entries, err := os.ReadDir(h.inbox())
	if err != nil && !os.IsNotExist(err) {
		return err
	}
	for i, e := range entries {
		flags := []string{":2,", ":2,S", ":2,FRS"}[i%3]
		if err := os.Rename(filepath.Join(h.inbox(), e.Name()), filepath.Join(h.mail, "cur", e.Name()+flags)); err != nil {
			return err
		}
	}
	return nil
}

// leftovers returns the names of the files in tmp/, or of locks.
func (h *home) leftovers() []string {
	var names []string
	switch h.to {
	case toMbox:
		names, _ = filepath.Glob(h.mail + ".lock*")
	case toMaildir:
		entries, _ := os.ReadDir(filepath.Join(h.mail, "tmp"))
		for _, e := range entries {
			names = append(names, e.Name())
		}
	}
	return names
}

// delivered collects the delivered messages.
func (h *home) delivered() (copies, error) {
	switch {
	case h.receiver != nil:
		texts, err := h.receiver.texts()
		return gather(texts), err
	case h.to == toMbox:
		texts, err := inMbox(h.mail)
		return gather(texts), err
	case h.to == toMDA:
		return collect(h.mail)
	}
	return collect(h.inbox(), filepath.Join(h.mail, "cur"))
}

// deliveryID returns the delivery id in the name of a file that the MDA made, or of a message
// that gather has named.
func deliveryID(name string) string {
	id, _, _ := strings.Cut(name, ".")
	return id
}
