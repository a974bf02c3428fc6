package state

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
)

// asNobody calls fn with the file permissions of a user who owns nothing. Root may do
// everything, so where the tests run as root the thread gives that up.
func asNobody(t *testing.T, fn func()) {
	t.Helper()
	if os.Geteuid() == 0 {
		runtime.LockOSThread() // and never unlocked: the thread ends with the goroutine
		if err := syscall.Setfsuid(65534); err != nil {
			t.Fatal(err)
		}
	}
	fn()
}

func TestMissingPermissionIsNotDamage(t *testing.T) {
	readOnly, shut := t.TempDir(), newPath(t)
	mustClose(t, mustOpen(t, shut))
	if err := errors.Join(os.Chmod(readOnly, 0o555), os.Chmod(shut, 0)); err != nil {
		t.Fatal(err)
	}
	done := make(chan bool)
	go func() {
		defer close(done)
		asNobody(t, func() {
			for what, path := range map[string]string{
				"read-only directory": filepath.Join(readOnly, "state.db"),
				"below it":            filepath.Join(readOnly, "a", "state.db"),
				"file of mode 0":      shut,
			} {
				for _, open := range []func(File) (*Bolt, error){File.Open, File.OpenView} {
					s, err := open(fileAt(path))
					if err == nil && s.ID() == "" {
						continue // a missing file is an empty store for OpenView
					}
					if !errors.Is(err, fs.ErrPermission) || errors.Is(err, ErrDamaged) {
						t.Errorf("%s: %v", what, err)
					}
				}
			}
		})
	}()
	<-done
	if err := os.Chmod(readOnly, 0o700); err != nil {
		t.Fatal(err)
	}
}
