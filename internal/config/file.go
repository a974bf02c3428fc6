package config

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// readFile reads a file of at most limit octets. What is known of the file is of
// the one that was read, whatever has been put under its name since.
func readFile(path string, limit int64) ([]byte, fs.FileInfo, error) {
	// O_NONBLOCK: the open of a FIFO that nobody writes to does not wait.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	return readOpen(f, limit)
}

// readOpen is readFile for an open file.
func readOpen(f *os.File, limit int64) ([]byte, fs.FileInfo, error) {
	fi, err := f.Stat()
	if err != nil {
		return nil, nil, err
	}
	data, err := io.ReadAll(io.LimitReader(f, limit+1))
	if err != nil {
		return nil, nil, err
	}
	if int64(len(data)) > limit {
		return nil, nil, fmt.Errorf("longer than %s", Size(limit))
	}
	return data, fi, nil
}

// unsafeError says why a file is no place for a secret.
type unsafeError struct{ msg, hint string }

func (e *unsafeError) Error() string { return e.msg }

// checkPrivate refuses a file that others could have read or put there. fi is of
// the open file, path its name.
func checkPrivate(path string, fi fs.FileInfo) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || !fi.Mode().IsRegular() {
		return &unsafeError{"holds a password and is not a regular file", "write it to a file with mode 0600"}
	}
	if uid := os.Geteuid(); !trusted(int(st.Uid), uid) {
		return &unsafeError{fmt.Sprintf("holds a password and belongs to user %d, not to user %d or root", st.Uid, uid),
			fmt.Sprintf("chown %d %s", uid, path)}
	}
	if perm := fi.Mode().Perm(); perm&0o077 != 0 {
		return &unsafeError{fmt.Sprintf("holds a password and is open to others, mode %04o", perm), "chmod 600 " + path}
	}
	return checkDirs(path)
}

// trusted says whether a file of this owner may tell user uid a secret.
func trusted(owner, uid int) bool { return owner == uid || owner == 0 }

// checkDirs refuses a directory in which everybody may replace the file. The
// sticky bit, as on /tmp, prevents that.
func checkDirs(path string) error {
	names := []string{path}
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
		names = append(names, target)
	}
	for _, name := range names {
		dir := filepath.Dir(name)
		fi, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("directory of the file: %w", bare(err))
		}
		if fi.Mode().Perm()&0o002 != 0 && fi.Mode()&fs.ModeSticky == 0 {
			return &unsafeError{fmt.Sprintf("holds a password and lies in %s, which everybody may write to", dir), "chmod o-w " + dir}
		}
	}
	return nil
}

// bare takes operation and path off an error of package os: the message that it
// goes into names them.
func bare(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
