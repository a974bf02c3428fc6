package maildir

import (
	"errors"
	"slices"
	"strings"
	"syscall"
	"testing"

	"popfetch/deliver"
)

// A full disk, a quota, missing permissions and their like, at any step: no message counts
// as delivered that is not, nothing stays in tmp/, and after the next Open the next
// message is delivered.
func TestErrnoAtAnyStepLosesNothingAndLeavesNothing(t *testing.T) {
	for _, errno := range []syscall.Errno{
		syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EXDEV, syscall.EEXIST, syscall.EACCES,
		syscall.ENOENT, syscall.EMFILE, syscall.ENFILE, syscall.EROFS, syscall.ENOMEM,
	} {
		t.Run(errno.Error(), func(t *testing.T) {
			for n := 0; ; n++ {
				m, f := openMaildir(t)
				var failed string
				f.Fail = func(i int, op string) error {
					if i == n {
						failed = op
						return errno
					}
					return nil
				}
				err := deliverText(t, m, "first")
				f.Fail = nil
				if failed == "" {
					return
				}
				checkRefusal(t, m, failed, errno, err)
				m.Close()
				if err := m.Open(); err != nil {
					t.Fatalf("after %s failed: %v", failed, err)
				}
				if err := deliverText(t, m, "second"); err != nil || !slices.Contains(delivered(t, m.Path), "second") {
					t.Errorf("after %s failed: the next message: %v", failed, err)
				}
			}
		})
	}
}

// checkRefusal checks that the failure of op is reported and leaves nothing behind.
func checkRefusal(t *testing.T, m *Maildir, op string, errno syscall.Errno, err error) {
	t.Helper()
	var e *deliver.Error
	switch {
	case err == nil:
		t.Errorf("%s failed, and the message counts as delivered", op)
	case !errors.As(err, &e) || !errors.Is(err, errno) && !errors.Is(err, deliver.ErrGone):
		t.Errorf("%s failed: %v", op, err)
	case e.Path == "" || e.Op == "" || strings.Contains(err.Error(), "\n"):
		t.Errorf("%s failed: the error does not say what was tried: %v", op, err)
	}
	if seen := delivered(t, m.Path); len(seen) > 0 && op != "sync new" {
		t.Errorf("%s failed, and readers see %q", op, seen)
	}
	if left := list(t, m, "tmp"); len(left) > 0 {
		t.Errorf("%s failed, and tmp has %q", op, left)
	}
}

// deliverText delivers one message. It gives it up after the first error, and returns that.
func deliverText(t *testing.T, m *Maildir, text string) error {
	t.Helper()
	s, err := m.Stage(t.Context(), deliver.Meta{}, strings.NewReader(text))
	if err != nil {
		return err
	}
	group := []deliver.Staged{s}
	err = errors.Join(m.Prepare(t.Context(), group)...)
	if err == nil {
		err = errors.Join(m.Publish(t.Context(), group)...)
	}
	if err != nil {
		if err := s.Abort(); err != nil {
			t.Errorf("abort: %v", err)
		}
	}
	return err
}
