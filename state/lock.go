package state

import (
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// lockPoll is the time between two attempts to get a lock that is held.
const lockPoll = 20 * time.Millisecond

// lock is an flock on a file next to the state file, which is never removed. The state
// file itself would not do: a rename puts it in its place, and a lock belongs to the
// file and not to its name. The kernel ends an flock with its process, so a lock cannot
// outlive a kill -9.
type lock struct{ file *os.File }

// acquire locks the file at path, and makes it if there is none. It tries once, then
// again until wait is over, and returns ErrLocked after that.
func acquire(path string, wait time.Duration) (*lock, error) {
	f, err := openPlain(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		return nil, err
	}
	deadline := time.Now().Add(wait)
	for {
		err = flock(f, syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil {
			break
		}
		if !errors.Is(err, syscall.EWOULDBLOCK) {
			f.Close()
			return nil, fmt.Errorf("lock %s: %w", path, err)
		}
		left := time.Until(deadline)
		if left <= 0 {
			defer f.Close()
			return nil, fmt.Errorf("%w%s", ErrLocked, holder(f))
		}
		time.Sleep(min(left, lockPoll))
	}
	// The number is for error messages; nothing depends on it.
	l := &lock{file: f}
	l.note(strconv.Itoa(os.Getpid()) + "\n")
	return l, nil
}

func (f File) lockPath() string { return f.Path + ".lock" }

// Holder reports whether a process holds the lock of the file, and its number, 0 if that
// is not known. It makes nothing and does not wait.
func (f File) Holder() (pid int, held bool) {
	file, err := openPlain(f.lockPath(), os.O_RDONLY)
	if err != nil {
		return 0, false
	}
	defer file.Close()
	if !errors.Is(flock(file, syscall.LOCK_SH|syscall.LOCK_NB), syscall.EWOULDBLOCK) {
		return 0, false
	}
	return holderOf(file), true
}

// release frees the lock.
func (l *lock) release() error {
	l.note("")
	return l.file.Close()
}

// note replaces the text in the lock file. It may fail, for example on a full disk; the
// lock works all the same.
func (l *lock) note(text string) {
	if l.file.Truncate(0) == nil {
		_, _ = l.file.WriteAt([]byte(text), 0)
	}
}

// holder returns " (process N)" if the lock file names its holder, else "".
func holder(f *os.File) string {
	if pid := holderOf(f); pid > 0 {
		return fmt.Sprintf(" (process %d)", pid)
	}
	return ""
}

// holderOf returns the number in the lock file, 0 if there is none.
func holderOf(f *os.File) int {
	text, err := io.ReadAll(io.NewSectionReader(f, 0, 32))
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(text)))
	if err != nil {
		return 0
	}
	return max(pid, 0)
}

// flock calls flock(2), and again if a signal has interrupted it.
func flock(f *os.File, how int) error {
	for {
		err := syscall.Flock(int(f.Fd()), how)
		if !errors.Is(err, syscall.EINTR) {
			return err
		}
	}
}
