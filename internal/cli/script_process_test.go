package cli_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/rogpeppe/go-internal/testscript"
)

// process is a program in the background of a script.
type process struct {
	cmd            *exec.Cmd
	stdout, stderr bytes.Buffer // complete once done is closed
	err            error
	done           chan struct{}
}

func processCommands() map[string]func(*testscript.TestScript, bool, []string) {
	return map[string]func(*testscript.TestScript, bool, []string){
		"start":  start,
		"signal": sendSignal,
		"hammer": hammer,
		"exited": exited,
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
	signals := map[string]syscall.Signal{"INT": syscall.SIGINT, "TERM": syscall.SIGTERM, "HUP": syscall.SIGHUP}
	s, ok := signals[name]
	if !ok {
		ts.Fatalf("unknown signal %q", name)
	}
	return s
}

// hammer sends the signal until the program has ended: when it has taken notice of
// the first one cannot be seen from outside.
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

func exited(ts *testscript.TestScript, neg bool, args []string) {
	wants(ts, neg, args, 2, 2, "exited NAME CODE")
	p := processOf(ts, args[0])
	select {
	case <-p.done:
	case <-time.After(patience):
		ts.Fatalf("%s is still running", strings.Join(p.cmd.Args, " "))
	}
	ts.Stdout().Write(p.stdout.Bytes())
	ts.Stderr().Write(p.stderr.Bytes())
	checkCode(ts, p.err, number(ts, args[1]))
}

// measured is a command of the tests that runs another one and writes the peak of
// its resident memory in KiB behind what that has written. It is a small process
// of its own: what wait4(2) says of a child begins with the memory of the parent.
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
