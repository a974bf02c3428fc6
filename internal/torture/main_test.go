//go:build linux

package torture

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// Variables in the environment of the process that runs the tests.
const (
	inside    = "POPFETCH_TORTURE_INSIDE" // whether its mounts are "private" or "shared"
	underTest = "POPFETCH_TORTURE_BINARY" // path of the popfetch under test
)

// TestMain builds popfetch and runs the tests in another process, in a mount namespace of its
// own if that is allowed. No other process then uses a file system that was shut down, and
// none stays mounted if the tests are killed.
func TestMain(m *testing.M) {
	if os.Getenv(inside) == "" {
		os.Exit(outside())
	}
	// Programs that outlive popfetch become children of this process, which can wait for
	// them.
	_ = unix.Prctl(unix.PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
	os.Exit(m.Run())
}

func outside() int {
	dir, err := os.MkdirTemp("", "popfetch-torture")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	bin := filepath.Join(dir, "popfetch")
	if err := goBuild(bin); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	os.Setenv(underTest, bin)
	runtime.LockOSThread() // Pdeathsig fires when the thread ends
	os.Setenv(inside, "private")
	code, err := again(&syscall.SysProcAttr{Unshareflags: syscall.CLONE_NEWNS, Pdeathsig: syscall.SIGKILL})
	if err != nil { // needs root, and is denied in many containers
		os.Setenv(inside, "shared")
		code, err = again(&syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return code
}

// again runs this program in a new process and returns its exit code.
func again(attr *syscall.SysProcAttr) (int, error) {
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = attr
	err := cmd.Run()
	if exit := new(exec.ExitError); errors.As(err, &exit) {
		return exit.ExitCode(), nil
	}
	return 0, err
}

// needsMount skips the test if it has no mount namespace of its own.
func needsMount(t *testing.T) {
	t.Helper()
	if os.Getenv(inside) != "private" {
		t.Skip("mounting file systems in a mount namespace needs root")
	}
}
