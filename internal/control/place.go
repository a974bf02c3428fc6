package control

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"syscall"
)

// suffix is what the name of the socket has more than that of the state file.
const suffix = ".sock"

// place is where the socket of a state file is.
type place struct {
	file string // the socket in the file system
	// address is what the kernel is given for it: file itself or, if that is too long for
	// a socket address, another way to it.
	address string
	dir     *os.File // which address goes through; may be nil
}

// mostAddress is the length of the longest address of a unix socket in octets.
const mostAddress = len(syscall.RawSockaddrUnix{}.Path) - 1

// descriptorDir has the open files of a process by their numbers, on Linux.
const descriptorDir = "/proc/self/fd"

// placeOf finds the place of a state file's socket. It depends on the path alone, so that
// a client under cron and an owner under systemd agree whatever their environment. The
// caller closes it.
func placeOf(state string) (place, error) {
	file := state + suffix
	if len(file) <= mostAddress {
		return place{file: file, address: file}, nil
	}
	if _, err := os.Stat(descriptorDir); err != nil || len(filepath.Base(file)) > mostAddress-len(descriptorDir)-12 {
		return shortPlace(state)
	}
	dir, err := os.Open(filepath.Dir(file))
	if err != nil {
		return place{}, err
	}
	address := filepath.Join(descriptorDir, strconv.Itoa(int(dir.Fd())), filepath.Base(file))
	return place{file: file, address: address, dir: dir}, nil
}

// shortPlace is a place in a directory of this user below /tmp, for systems that have no
// short name for a directory with a long one.
func shortPlace(state string) (place, error) {
	dir := fmt.Sprintf("/tmp/popfetch-%d", os.Geteuid())
	if err := os.Mkdir(dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return place{}, err
	}
	info, err := os.Lstat(dir)
	if err != nil {
		return place{}, err
	}
	// Anybody can make a directory in /tmp.
	st, ok := info.Sys().(*syscall.Stat_t)
	if !ok || !info.IsDir() || int(st.Uid) != os.Geteuid() || info.Mode().Perm() != 0o700 {
		return place{}, fmt.Errorf("%s is not a directory of this user alone", dir)
	}
	if real, err := filepath.EvalSymlinks(filepath.Dir(state)); err == nil {
		state = filepath.Join(real, filepath.Base(state))
	}
	file := filepath.Join(dir, fmt.Sprintf("%x"+suffix, sha256.Sum256([]byte(state))))
	return place{file: file, address: file}, nil
}

func (p place) close() {
	if p.dir != nil {
		p.dir.Close()
	}
}
