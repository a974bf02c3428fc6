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

// ReadFile reads a file of at most limit octets. The FileInfo is that of the
// file that was read, even if another one has its name by now.
func ReadFile(path string, limit int64) ([]byte, fs.FileInfo, error) {
	// O_NONBLOCK: opening a FIFO that nobody writes to does not wait.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return nil, nil, err
	}
	defer f.Close()
	return ReadOpenFile(f, limit)
}

// ReadOpenFile is ReadFile for a file that is open already.
func ReadOpenFile(f *os.File, limit int64) ([]byte, fs.FileInfo, error) {
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

// UnsafeError is the reason why a file must not hold a secret.
type UnsafeError struct {
	Msg      string // follows "the file "
	Hint     string // what to do about it
	ReadOnly bool   // nobody may write the file: perhaps a container platform has made it, and chmod fails
}

// Error is Msg.
func (e *UnsafeError) Error() string { return e.Msg }

// CheckPrivate returns an error, mostly an *UnsafeError, if other users may have
// read a file or put it there. fi is of the open file, path its name.
func CheckPrivate(path string, fi fs.FileInfo) error {
	st, ok := fi.Sys().(*syscall.Stat_t)
	if !ok || !fi.Mode().IsRegular() {
		return &UnsafeError{Msg: "holds a password and is not a regular file", Hint: "write it to a file with mode 0600"}
	}
	if uid := os.Geteuid(); !trusted(int(st.Uid), uid) {
		return &UnsafeError{Msg: fmt.Sprintf("holds a password and belongs to user %d, not to user %d or root", st.Uid, uid),
			Hint: fmt.Sprintf("chown %d %s", uid, path)}
	}
	if perm := fi.Mode().Perm(); perm&0o077 != 0 {
		e := &UnsafeError{Msg: fmt.Sprintf("holds a password and is open to others, mode %04o", perm), Hint: "chmod 600 " + path, ReadOnly: perm&0o222 == 0}
		if perm&0o111 == 0o111 { // so does every file on FAT look
			e.Hint += "; on a file system without modes, such as FAT, mount it with umask=077 or keep the file elsewhere"
		}
		return e
	}
	return checkDirs(path)
}

// trusted reports whether a file of this owner may tell user uid a secret.
func trusted(owner, uid int) bool { return owner == uid || owner == 0 }

// checkDirs refuses a directory where everybody may replace the file. The sticky
// bit, as on /tmp, prevents that.
func checkDirs(path string) error {
	names := []string{path}
	if target, err := filepath.EvalSymlinks(path); err == nil && target != path {
		names = append(names, target)
	}
	for _, name := range names {
		dir := filepath.Dir(name)
		fi, err := os.Stat(dir)
		if err != nil {
			return fmt.Errorf("directory of the file: %w", WithoutPath(err))
		}
		if fi.Mode().Perm()&0o002 != 0 && fi.Mode()&fs.ModeSticky == 0 {
			return &UnsafeError{Msg: fmt.Sprintf("holds a password and lies in %s, which everybody may write to", dir), Hint: "chmod o-w " + dir}
		}
	}
	return nil
}

// WithoutPath takes operation and path off an error of package os, for a message
// that names them itself.
func WithoutPath(err error) error {
	var pe *fs.PathError
	if errors.As(err, &pe) {
		return pe.Err
	}
	return err
}
