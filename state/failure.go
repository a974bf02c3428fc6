package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
)

// FileError is something that could not be done with the state file because of the file
// system. It names the file and not the temporary files beside it.
type FileError struct {
	Path string
	Done string // what was not done: "written", "copied"
	Err  error
}

func (e *FileError) Error() string {
	return fmt.Sprintf("state file %s cannot be %s: %v", e.Path, e.Done, e.Err)
}

func (e *FileError) Unwrap() error { return e.Err }

// fileError returns err, of what was to be done with the file at path, as a *FileError.
func fileError(path, done string, err error) error {
	return &FileError{Path: path, Done: done, Err: bare(path, err)}
}

// bare returns what the system says about the file at path or a new one for it, without
// their names, and any other error unchanged. bbolt puts some of these errors into its texts, as
// in "meta 0 copy: write PATH: no space left on device", and drops the errors themselves;
// they are recognised by their words.
func bare(path string, err error) error {
	name := ""
	if of, ok := errors.AsType[*fs.PathError](err); ok {
		name = of.Path
	} else if of, ok := errors.AsType[*os.LinkError](err); ok {
		name = of.Old
	}
	if errno, ok := errors.AsType[syscall.Errno](err); ok {
		if name == path || strings.HasPrefix(name, path) && strings.Contains(name, ".new-") {
			return errno
		}
		return err
	}
	for _, errno := range []syscall.Errno{syscall.ENOSPC, syscall.EDQUOT, syscall.EFBIG, syscall.EIO, syscall.EROFS, syscall.ENOMEM} {
		if strings.HasSuffix(err.Error(), ": "+errno.Error()) {
			return errno
		}
	}
	return err
}
