package control

import (
	"errors"
	"io/fs"
	"os"
	"time"
)

// Keep makes the socket of a state file again, within a minute, if somebody removes it, such
// as a program that cleans up: otherwise the clients find nobody to ask. l is the listener
// that the server was started with.
func (s *Server) Keep(l *Listener, state string) {
	s.serving.Go(func() {
		look := time.NewTicker(s.times.look)
		defer look.Stop()
		for {
			select {
			case <-look.C:
				l = s.renew(l, state)
			case <-s.stopped:
				return
			}
		}
	})
}

// renew returns l, or another listener that is served in its place if its socket is gone; nil
// if there can be none now. l may be nil.
func (s *Server) renew(l *Listener, state string) *Listener {
	if l != nil {
		if !l.gone() {
			return l
		}
		_ = l.Close()
	}
	l, err := Listen(state)
	if err != nil {
		return nil
	}
	s.serve(l)
	return l
}

// gone reports whether nothing is in the place of the socket.
func (l *Listener) gone() bool {
	_, err := os.Lstat(l.place.file)
	return errors.Is(err, fs.ErrNotExist)
}

// remove removes the socket, and nothing else that is in its place.
func (l *Listener) remove() error {
	switch now, err := os.Lstat(l.place.file); {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return err
	case !os.SameFile(now, l.made) || !now.ModTime().Equal(l.made.ModTime()): // inodes are used again
		return nil
	}
	return os.Remove(l.place.file)
}
