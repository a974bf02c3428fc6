//go:build linux

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"
)

// command is a program to run and measure.
type command struct {
	argv    []string
	env     []string
	okCodes []int  // exit codes that count as success, besides 0
	as      *owner // nil = the user who runs the benchmark
}

// owner is the user that a command runs as because it refuses to run as root.
type owner struct{ uid, gid int }

// chown makes the owner that of dir and of everything below it.
func (o *owner) chown(dir string) error {
	return filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		if err == nil {
			err = os.Lchown(path, o.uid, o.gid)
		}
		return err
	})
}

// usage is what a run cost.
type usage struct {
	Seconds float64 // from start to end of the process
	RSS     int64   // KiB, of the largest process; at least that of measureMain itself
	Code    int     // exit code, -1 after a signal
}

// run executes a command in a namespace and measures it. After limit it kills the command
// and all that it started, and returns context.DeadlineExceeded.
//
// The kernel counts the peak memory of a child from before its exec, when it still shares
// the memory of its parent. A small process in between (measureMain) keeps that of the
// benchmark out of the figure.
func run(ctx context.Context, in namespace, limit time.Duration, c command) (usage, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	self, err := os.Executable()
	if err != nil {
		return usage{}, nil, err
	}
	r, w, err := os.Pipe()
	if err != nil {
		return usage{}, nil, err
	}
	defer r.Close()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, self, append([]string{"measure", c.as.String()}, c.argv...)...)
	cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "LC_ALL=C"}, c.env...)
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	cmd.ExtraFiles = []*os.File{w}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Cancel = func() error { return syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL) }
	if err = in.do(cmd.Start); err == nil {
		err = cmd.Wait()
	}
	w.Close()
	if ctx.Err() != nil {
		return usage{}, nil, ctx.Err()
	}
	var u usage
	if err == nil {
		err = json.NewDecoder(r).Decode(&u)
	}
	if err == nil && u.Code != 0 {
		err = fmt.Errorf("exit code %d", u.Code)
		for _, code := range c.okCodes {
			if u.Code == code {
				err = nil
			}
		}
	}
	if err != nil {
		err = fmt.Errorf("%s: %w\n%s", c.argv[0], err, bytes.TrimSpace(stderr.Bytes()))
	}
	return u, stdout.Bytes(), err
}

// String returns UID:GID for the command line of measureMain, "-" for nil.
func (o *owner) String() string {
	if o == nil {
		return "-"
	}
	return fmt.Sprintf("%d:%d", o.uid, o.gid)
}

// measureMain runs the program in args[1:] as the owner in args[0], and writes its usage to
// descriptor 3.
func measureMain(args []string) error {
	as, argv := args[0], args[1:]
	report := os.NewFile(3, "report")
	syscall.CloseOnExec(3)
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdout, cmd.Stderr = os.Stdout, os.Stderr
	var user syscall.Credential
	if n, _ := fmt.Sscanf(as, "%d:%d", &user.Uid, &user.Gid); n == 2 {
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &user}
	}
	begin := time.Now()
	err := cmd.Run()
	seconds := time.Since(begin).Seconds()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return err
	}
	u := usage{Seconds: seconds, Code: cmd.ProcessState.ExitCode()}
	if resources, ok := cmd.ProcessState.SysUsage().(*syscall.Rusage); ok {
		u.RSS = resources.Maxrss
	}
	return json.NewEncoder(report).Encode(u)
}
