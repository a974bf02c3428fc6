package state

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	"popfetch/internal/durable"
)

// openPlain opens a regular file that only its owner can change. It refuses a symbolic
// link, FIFO, device or directory. With O_CREATE it makes the file with mode 0600,
// whatever the umask.
//
// Anybody may have put something at path. So openPlain looks at it first, because opening
// a device can have effects, opens it so that the open cannot block, and looks again
// through the descriptor.
func openPlain(path string, flag int) (*os.File, error) {
	info, err := os.Lstat(path)
	switch {
	case err == nil:
		flag &^= os.O_CREATE | os.O_EXCL
		if err := checkPlain(path, info); err != nil {
			return nil, err
		}
	case !errors.Is(err, fs.ErrNotExist) || flag&os.O_CREATE == 0:
		return nil, err
	}
	f, err := os.OpenFile(path, flag|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
	if err != nil {
		return nil, err
	}
	if info, err = f.Stat(); err == nil {
		err = checkPlain(path, info)
	}
	if err == nil && flag&os.O_CREATE != 0 {
		err = f.Chmod(0o600)
	}
	if err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

func checkPlain(path string, info fs.FileInfo) error {
	if !info.Mode().IsRegular() {
		return fmt.Errorf("open %s: it is %s, not a regular file", path, kind(info.Mode()))
	}
	if perm := info.Mode().Perm(); perm&0o022 != 0 {
		return fmt.Errorf("open %s: others can change it (mode %#o); check that nobody has, then: chmod 600 %s", path, perm, path)
	}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		if me := os.Geteuid(); int(st.Uid) != me && st.Uid != 0 {
			return fmt.Errorf("open %s: it belongs to user %d, but popfetch runs as user %d", path, st.Uid, me)
		}
	}
	return nil
}

func kind(m fs.FileMode) string {
	switch {
	case m&fs.ModeSymlink != 0:
		return "a symbolic link"
	case m.IsDir():
		return "a directory"
	case m&fs.ModeNamedPipe != 0:
		return "a FIFO"
	case m&fs.ModeSocket != 0:
		return "a socket"
	}
	return "a device"
}

// prepareDir makes dir and the parents that it lacks, mode 0700, and makes their
// entries durable. It refuses a directory in which anybody could put another file
// in the place of ours: dir itself, or the one below which it is made.
func prepareDir(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	deepest := dir
	err = checkDir(deepest)
	for errors.Is(err, fs.ErrNotExist) && deepest != filepath.Dir(deepest) {
		deepest = filepath.Dir(deepest)
		err = checkDir(deepest)
	}
	if err != nil || deepest == dir {
		return err
	}
	return durable.OS{}.MakeDirs(dir)
}

func checkDir(dir string) error {
	info, err := os.Stat(dir)
	if err != nil {
		return err
	}
	if !info.IsDir() {
		return fmt.Errorf("open %s: it is not a directory", dir)
	}
	// In a sticky directory nobody can replace the files of another user.
	if info.Mode().Perm()&0o002 != 0 && info.Mode()&fs.ModeSticky == 0 {
		return fmt.Errorf("open %s: anybody can replace files in it (mode %#o); try: chmod o-w %s", dir, info.Mode().Perm(), dir)
	}
	return nil
}
