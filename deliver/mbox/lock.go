package mbox

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"popfetch/deliver"
	"popfetch/internal/durable"
)

const (
	// lockSuffix is what procmail, mutt and liblockfile append to the name of the mbox.
	lockSuffix = ".lock"
	// maxLockText is how many octets of a lock file are looked at.
	maxLockText = 128
	// firstWait and longestWait bound the time between two looks at a lock.
	firstWait   = 20 * time.Millisecond
	longestWait = time.Second
)

var (
	errLocked = errors.New("another program holds the lock")
	errMoved  = errors.New("the file was replaced while it was being locked")
	errNoLink = errors.New("the file system has no hard links, which the lock file needs")
)

// lock is an mbox that is open and locked in both ways.
type lock struct {
	dir     durable.Dir
	file    durable.AppendFile
	name    string
	path    string
	owner   string
	hasFile bool // the lock file is ours
}

// lockMbox opens and locks the mbox at path. With create it makes the file if it is missing,
// otherwise that is fs.ErrNotExist. It waits for other programs until the timeout has passed.
// The two locks are taken without waiting for one while the other is held, so that
// programs that take them in another order do not wait for each other. The lock file comes
// first: a program that holds it may put another file in place of the mbox and lock that
// one too, which must not fail because of a lock that is only tried here.
func lockMbox(ctx context.Context, files durable.FS, path, owner string, timeout time.Duration, create bool) (*lock, error) {
	parent, name := filepath.Split(path)
	dir, err := files.OpenDir(filepath.Clean(parent))
	if err != nil {
		return nil, err
	}
	l := &lock{dir: dir, name: name, path: path, owner: owner}
	end := time.Now().Add(timeout)
	for wait := firstWait; ; wait = min(2*wait, longestWait) {
		err := l.try(create)
		if err == nil {
			return l, nil
		}
		freed := l.release()
		if !errors.Is(err, errLocked) && !errors.Is(err, errMoved) || freed != nil || !time.Now().Add(wait).Before(end) {
			dir.Close()
			return nil, cmp.Or(err, freed)
		}
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			dir.Close()
			return nil, context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// try takes both locks or returns why it cannot; release then frees what it has.
func (l *lock) try(create bool) error {
	err := l.open(create)
	if err != nil {
		return err
	}
	if err := l.lockFile(); err != nil {
		return err
	}
	free, err := l.file.TryLock()
	switch {
	case err != nil:
		return err
	case !free:
		return errLocked
	}
	// A program that rewrites the mbox may have put another file in its place.
	return l.checkSame()
}

// open opens the mbox.
func (l *lock) open(create bool) error {
	exists, err := checkKind(l.dir, l.name, l.path)
	if err != nil {
		return err
	}
	if !exists && !create {
		return &fs.PathError{Op: "open", Path: l.path, Err: fs.ErrNotExist}
	}
	if !exists {
		made, err := l.dir.Create(l.name) // mode 0600
		switch {
		case err == nil:
			if err := made.Close(); err != nil {
				return err
			}
		case !errors.Is(err, fs.ErrExist): // another program was faster
			return err
		}
	}
	l.file, err = l.dir.Append(l.name)
	return err
}

// checkSame returns errMoved if the open file no longer has its name.
func (l *lock) checkSame() error {
	now, err := l.dir.Append(l.name)
	if errors.Is(err, fs.ErrNotExist) {
		return errMoved
	}
	if err != nil {
		return err
	}
	defer now.Close()
	ours, err := l.file.ID()
	if err != nil {
		return err
	}
	theirs, err := now.ID()
	if err == nil && !ours.Same(theirs) {
		return errMoved
	}
	return err
}

// lockFile makes the lock file, by a hard link from a file of another name: that works on
// old NFS too. Where the directory does not allow new files (a spool of the system), the
// lock of fcntl alone has to do, as for other programs that are not set-group-ID.
func (l *lock) lockFile() error {
	name, own := l.name+lockSuffix, l.name+lockSuffix+"."+l.owner
	text := fmt.Sprintf("%d\n%s", os.Getpid(), l.mark()) // liblockfile reads the number
	if _, err := l.dir.Stat(name); err == nil && !l.isOurs() {
		return errLocked // nothing is written for a look at it
	}
	if err := l.dir.Remove(own); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	file, err := l.dir.Create(own)
	if errors.Is(err, fs.ErrPermission) {
		return nil
	}
	if err != nil {
		return err
	}
	_, err = file.Write([]byte(text))
	// The mark is durable before the name: a power cut must not leave an empty lock file,
	// which nobody knows to be ours.
	err = cmp.Or(err, file.Sync())
	err = cmp.Or(err, file.Close())
	if err == nil {
		err = l.dir.Link(own, name)
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, errors.ErrUnsupported) { // FAT, SMB
			err = errNoLink
		}
	}
	if errors.Is(err, fs.ErrExist) && l.isOurs() {
		// A popfetch that was killed has left it: nobody else has our mark.
		if err = l.dir.Remove(name); err == nil {
			err = l.dir.Link(own, name)
		}
	}
	if errors.Is(err, fs.ErrExist) {
		err = errLocked
	}
	l.hasFile = err == nil
	return cmp.Or(err, l.dir.Remove(own))
}

// mark is in each lock file of the owner.
func (l *lock) mark() string { return "popfetch " + l.owner + "\n" }

// isOurs reports whether the lock file has the mark of the owner.
func (l *lock) isOurs() bool {
	text, err := l.dir.Read(l.name+lockSuffix, maxLockText)
	_, mark, _ := bytes.Cut(text, []byte("\n"))
	return err == nil && string(mark) == l.mark()
}

// removeStale removes the lock files of the owner, which holds no lock.
func (l *lock) removeStale() error {
	names := []string{l.name + lockSuffix + "." + l.owner}
	if l.isOurs() {
		names = append(names, l.name+lockSuffix)
	}
	for _, name := range names {
		err := l.dir.Remove(name)
		if err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission) {
			return err
		}
	}
	return nil
}

// release frees both locks and closes the mbox.
func (l *lock) release() error {
	var err error
	if l.hasFile && l.isOurs() {
		err = l.dir.Remove(l.name + lockSuffix)
	}
	l.hasFile = false
	if l.file != nil {
		err = cmp.Or(err, l.file.Close())
		l.file = nil
	}
	return err
}

// free is release, and the end of the lock.
func (l *lock) free() error { return cmp.Or(l.release(), l.dir.Close()) }

// abandon is free without removing the lock file: it keeps other programs away from an
// mbox that ends in a part of a message until Recover has cut it back.
func (l *lock) abandon() error {
	l.hasFile = false
	return l.free()
}

// lockError returns the error for an mbox that cannot be locked.
func lockError(ctx context.Context, path string, err error) error {
	switch {
	case ctx.Err() != nil:
		return &deliver.Error{Op: "lock", Path: path, Temporary: true, Err: context.Cause(ctx)}
	case errors.Is(err, errLocked), errors.Is(err, errMoved):
		return &deliver.Error{
			Op: "lock", Path: path, Temporary: true, Err: err,
			Hint: fmt.Sprintf("a mail program is writing there; if none runs, remove %s", path+lockSuffix),
		}
	case errors.Is(err, errNoLink):
		return &deliver.Error{
			Op: "lock", Path: path, Scope: deliver.Place, Err: err,
			Hint: "name a file on another file system, or deliver into a Maildir",
		}
	}
	return placeError("lock", path, err)
}
