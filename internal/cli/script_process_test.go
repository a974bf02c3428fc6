package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// process is a program in the background of a script.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr output // complete once done is closed
	err            error
	done           chan struct{}
}

// output is what a process has written so far. It is safe for concurrent use.
type output struct {
	mu      sync.Mutex
	text    bytes.Buffer
	changed chan struct{} // closed by the next Write; nil = nobody waits
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed != nil {
		close(o.changed)
		o.changed = nil
	}
	return o.text.Write(p)
}

// read returns the text, and a channel that is closed when there is more.
func (o *output) read() ([]byte, <-chan struct{}) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.changed == nil {
		o.changed = make(chan struct{})
	}
	return bytes.Clone(o.text.Bytes()), o.changed
}

func processCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"start":  start,
		"signal": sendSignal,
		"hammer": hammer,
		"exited": exited,
		"shows":  shows,
	}
}

func start(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 0, "start NAME PROGRAM ARG...")
	path, err := exec.LookPath(args[1])
	ts.Check(err)
	p := &process{cmd: exec.Command(path, args[2:]...), done: make(chan struct{})}
	p.cmd.Args[0] = args[1]
	p.cmd.Dir = ts.MkAbs(".")
	for _, name := range []string{"HOME", "PATH", "TMPDIR", "WORK"} {
		p.cmd.Env = append(p.cmd.Env, name+"="+ts.Getenv(name))
	}
	p.cmd.Stdout, p.cmd.Stderr = &p.stdout, &p.stderr
	ts.Check(p.cmd.Start())
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	ts.Defer(func() {
		p.cmd.Process.Kill()
		<-p.done
	})
	worldOf(ts).processes[args[0]] = p
}

func processOf(ts *testscript.TestScript, name string) *process {
	p := worldOf(ts).processes[name]
	if p == nil {
		ts.Fatalf("there is no process %q", name)
	}
	return p
}

func sendSignal(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2, "signal NAME SIGNAL")
	ts.Check(processOf(ts, args[0]).cmd.Process.Signal(signalOf(ts, args[1])))
}

func signalOf(ts *testscript.TestScript, name string) syscall.Signal {
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP, "USR1": syscall.SIGUSR1}
	s, ok := signals[name]
	if !ok {
		ts.Fatalf("unknown signal %q", name)
	}
	return s
}

// hammer sends the signal until the program has ended: it cannot be seen from outside
// when the program has noticed the first one.
func hammer(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2, "hammer NAME SIGNAL")
	p, signal := processOf(ts, args[0]), signalOf(ts, args[1])
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	limit := time.After(patience)
	for {
		select {
		case <-p.done:
			return
		case <-again.C:
			p.cmd.Process.Signal(signal)
		case <-limit:
			ts.Fatalf("%s is still running", args[0])
		}
	}
}

// shows waits until the standard error of a process matches.
func shows(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2, "shows NAME PATTERN")
	p, re := processOf(ts, args[0]), pattern(ts, args[1])
	limit := time.After(patience)
	for {
		text, changed := p.stderr.read()
		if re.Match(text) {
			return
		}
		select {
		case <-changed:
		case <-limit:
			ts.Fatalf("standard error of %s does not match %q:\n%s", args[0], re, text)
		}
	}
}

func exited(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2, "exited NAME CODE")
	p := processOf(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s is still running", strings.Join(p.cmd.Args, " "))
	}
	stdout, _ := p.stdout.read()
	stderr, _ := p.stderr.read()
	ts.Stdout().Write(stdout)
	ts.Stderr().Write(stderr)
	checkCode(ts, p.err, number(ts, args[1]))
}

// measured is a command of the tests that runs another one and writes the peak of
// its resident memory in KiB after the output of that one. It is a separate, small
// process: the peak that wait4(2) returns for a child begins with the memory of the
// parent.
func measured() {
	cmd := exec.Command(os.Args[1], os.Args[2:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	err := cmd.Run()
	if cmd.ProcessState == nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(127)
	}
	fmt.Println(cmd.ProcessState.SysUsage().(*syscall.Rusage).Maxrss)
	os.Exit(cmd.ProcessState.ExitCode())
}
