//go:build darwin || freebsd

package control

import "golang.org/x/sys/unix"

// peer returns the user of the process that has connected, or that listens.
func peer(fd int) (uid int, err error) {
	cred, err := unix.GetsockoptXucred(fd, 0, unix.LOCAL_PEERCRED) // level SOL_LOCAL
	if err != nil {
		return 0, err
	}
	return int(cred.Uid), nil
}
