package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"
	"testing"
)

// The first texts are those of bbolt 1.5.0, which does not wrap the error.
func TestErrorsOfTheFileSystemNameTheStateFileAndTheCause(t *testing.T) {
	full := &fs.PathError{Op: "write", Path: "/mail/state.db.new-3f2a", Err: syscall.ENOSPC}
	own := &fs.PathError{Op: "write", Path: "/mail/state.db", Err: syscall.ENOSPC}
	for _, err := range []error{
		fmt.Errorf("meta 0 copy: %s", full), fmt.Errorf("file resize error: %s", own), fmt.Errorf("file sync error: %s", own),
		full, own, errors.Join(full, errors.New("close")),
		&os.LinkError{Op: "rename", Old: "/mail/state.db.new-3f2a", New: "/mail/state.db", Err: syscall.ENOSPC},
	} {
		got := fileError("/mail/state.db", "copied", err)
		if got.Error() != "state file /mail/state.db cannot be copied: no space left on device" || !errors.Is(got, syscall.ENOSPC) {
			t.Errorf("%v becomes %v", err, got)
		}
	}
	other := &fs.PathError{Op: "open", Path: "/mail/state.db.bak", Err: syscall.EACCES}
	if got := fileError("/mail/state.db", "copied", other).Error(); got != "state file /mail/state.db cannot be copied: open /mail/state.db.bak: permission denied" {
		t.Errorf("an error of another file becomes %q", got)
	}
}
