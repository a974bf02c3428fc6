package control

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"sync"

	"golang.org/x/sync/semaphore"
)

// maxConnections is how many clients are served at a time. Others are turned away and
// come again: each takes a file descriptor, which polls need too.
const maxConnections = 32

// Listener accepts the clients of an owner that may ask it: those of the same user, and
// of root.
type Listener struct {
	*net.UnixListener
	place place
	made  fs.FileInfo // the socket
	slots *semaphore.Weighted
	close func() error // once
}

// Listen makes the socket of a state file, mode 0600. The caller holds the lock of the
// file: a socket that is there is one that a killed owner has left, and is replaced.
// Anything else that is there stays.
func Listen(state string) (*Listener, error) {
	p, err := placeOf(state)
	if err != nil {
		return nil, err
	}
	l, err := listen(p)
	if err != nil {
		p.close()
		return nil, err
	}
	made, err := os.Lstat(p.file)
	if err != nil {
		p.close()
		return nil, errors.Join(err, l.Close())
	}
	own := &Listener{UnixListener: l, place: p, made: made, slots: semaphore.NewWeighted(maxConnections)}
	own.close = sync.OnceValue(func() error {
		defer p.close()
		return errors.Join(own.remove(), l.Close())
	})
	return own, nil
}

func listen(p place) (*net.UnixListener, error) {
	info, err := os.Lstat(p.file)
	switch {
	case err == nil && info.Mode().Type() != fs.ModeSocket:
		return nil, fmt.Errorf("%s is not a socket; move it away", p.file)
	case err == nil:
		err = os.Remove(p.file)
	case errors.Is(err, fs.ErrNotExist):
		err = nil
	}
	if err != nil {
		return nil, err
	}
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: p.address, Net: "unix"})
	if err != nil {
		return nil, err
	}
	l.SetUnlinkOnClose(false) // it would unlink the address, which may be another name
	if err := os.Chmod(p.file, 0o600); err != nil {
		return nil, errors.Join(err, os.Remove(p.file), l.Close())
	}
	return l, nil
}

// Accept returns the next client that may ask. It closes the connections of others.
func (l *Listener) Accept() (net.Conn, error) {
	for {
		c, err := l.AcceptUnix()
		if err != nil {
			return nil, err
		}
		if !trusted(c) || !l.slots.TryAcquire(1) {
			c.Close()
			continue
		}
		return &served{UnixConn: c, free: sync.OnceFunc(func() { l.slots.Release(1) })}, nil
	}
}

// Close removes the socket. Only the first call does anything: a server calls it again, and
// another socket may have the place, and the inode, of the one that is gone.
func (l *Listener) Close() error { return l.close() }

// served is a connection that has a slot.
type served struct {
	*net.UnixConn
	free func()
}

func (c *served) Close() error {
	defer c.free()
	return c.UnixConn.Close()
}

// trusted reports whether the process at the other end belongs to this user or to root.
func trusted(c *net.UnixConn) bool {
	raw, err := c.SyscallConn()
	if err != nil {
		return false
	}
	uid, known := -1, error(nil)
	err = raw.Control(func(fd uintptr) { uid, known = peer(int(fd)) })
	return err == nil && known == nil && (uid == 0 || uid == os.Geteuid())
}
