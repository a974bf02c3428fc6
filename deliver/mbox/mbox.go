// Package mbox delivers messages to the end of an mbox file, the format of mutt, procmail
// and mailx, in its variant mboxrd, whose quoting can be undone.
//
// Prepare locks the file as those programs do, by FILE.lock and by fcntl(2), and notes
// its length. That goes into the intents, together with digests of what is about to be
// written. Publish appends the whole group with one fsync and then frees the locks. After a
// failure or a crash the file is cut back to the noted length if what follows it is a
// part of that group, and of nothing else. So no reader finds half a message, each message
// arrives once, and what another program has appended stays.
package mbox

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"sync"
	"time"

	"popfetch/deliver"
	"popfetch/internal/durable"
	"popfetch/internal/spool"
)

// Kind is the Kind of this package's intents.
const Kind = "mbox"

const (
	// groupSize is how many messages share a lock and a sync.
	groupSize = 32
	// inMemory is the length in octets of the longest message that is kept in memory. Two
	// groups may be on their way at a time.
	inMemory = 128 << 10
	// defaultTimeout is how long to wait for the locks of other programs.
	defaultTimeout = time.Minute
)

// Mbox is an mbox file as the destination of one account. Its exported fields are set
// before the first call and do not change after. Its methods may run concurrently as
// deliver.Destination allows.
type Mbox struct {
	Path string // absolute
	// Owner tells the lock files of this account from those of everybody else: 16 hex
	// digits. Only one process at a time uses an owner.
	Owner string
	// Timeout is how long to wait for the locks of other programs, 0 = 1 minute.
	Timeout time.Duration
	// Spool is the directory for messages over 128 KiB, "" = os.TempDir.
	Spool string

	fs durable.FS // nil = durable.OS

	mu      sync.Mutex
	current *batch // prepared and not yet published; nil = none
}

var _ deliver.Destination = (*Mbox)(nil)

// Group implements deliver.Destination.
func (m *Mbox) Group() int { return groupSize }

// Recoverable implements deliver.Destination.
func (m *Mbox) Recoverable() bool { return true }

// Room implements deliver.Limited: a message goes through the spool into the file.
func (m *Mbox) Room() (octets int64, known bool) {
	octets, known = spool.Room(m.Spool)
	if own, ok := durable.Room(filepath.Dir(m.Path)); ok && (!known || own < octets) {
		return own, true
	}
	return octets, known
}

// Close implements deliver.Destination. It frees the locks.
func (m *Mbox) Close() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.finish()
}

// finish ends the current batch, if there is one. The caller holds mu.
func (m *Mbox) finish() error {
	b := m.current
	m.current = nil
	if b == nil {
		return nil
	}
	if b.spoiled {
		return b.lock.abandon()
	}
	return b.lock.free()
}

func (m *Mbox) disk() durable.FS {
	if m.fs != nil {
		return m.fs
	}
	return durable.OS{}
}

// Open makes the directory of the file if it is missing, and returns why the file cannot
// take mail. It does not make the file. It removes the lock files that a power cut has brought
// back or a killed run has left, because mail readers wait for them. Recover has been called
// for every open intent.
func (m *Mbox) Open() error {
	if err := m.disk().MakeDirs(filepath.Dir(m.Path)); err != nil {
		return placeError("create", filepath.Dir(m.Path), err)
	}
	if _, err := m.Check(); err != nil {
		return err
	}
	return placeError("unlock", m.Path, m.unlock())
}

// unlock removes the lock files of the owner.
func (m *Mbox) unlock() error {
	parent, name := filepath.Split(m.Path)
	dir, err := m.disk().OpenDir(filepath.Clean(parent))
	if err != nil {
		return err
	}
	defer dir.Close()
	l := &lock{dir: dir, name: name, path: m.Path, owner: m.Owner}
	return l.removeStale()
}

// Check returns whether the file exists, and why it cannot take mail. It changes nothing.
func (m *Mbox) Check() (exists bool, err error) {
	parent, name := filepath.Split(m.Path)
	dir, err := m.disk().OpenDir(filepath.Clean(parent))
	if errors.Is(err, fs.ErrNotExist) {
		if err := durable.Creatable(m.disk(), filepath.Clean(parent)); err != nil {
			return false, placeError("create", m.Path, err)
		}
		return false, nil
	}
	if err != nil {
		return false, placeError("open", filepath.Clean(parent), err)
	}
	defer dir.Close()
	if exists, err = checkKind(dir, name, m.Path); err != nil {
		return exists, err
	}
	if !exists {
		if err := dir.Writable(); err != nil {
			return false, placeError("create", m.Path, err)
		}
		return false, nil
	}
	file, err := dir.Append(name)
	if err != nil {
		return true, placeError("open", m.Path, err)
	}
	defer file.Close()
	return true, checkContent(file, m.Path)
}

// checkKind returns an error if name is there and is not a file of its own.
func checkKind(dir durable.Dir, name, path string) (exists bool, err error) {
	info, err := dir.Stat(name)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return false, nil
	case err != nil:
		return false, placeError("inspect", path, err)
	case info.Dir && isMaildir(dir, name):
		return true, refused(path, "is a Maildir", "write maildir in place of mbox")
	case info.Dir:
		return true, refused(path, "is a directory", "name a file in it")
	case !info.Regular:
		return true, refused(path, "is a symbolic link or a device, not a file", "write the path of the file itself")
	case info.Links > 1:
		return true, refused(path, "has more than one name (hard links)", "the locks of programs that use another name do not work; keep one of the names")
	}
	return true, nil
}

func isMaildir(dir durable.Dir, name string) bool {
	sub, err := dir.OpenDir(name)
	if err != nil {
		return false
	}
	defer sub.Close()
	info, err := sub.Stat("cur")
	return err == nil && info.Dir
}

// separator begins the first line of each message.
const separator = "From "

// checkContent returns an error if the file is not an mbox.
func checkContent(file durable.AppendFile, path string) error {
	size, err := file.Size()
	if err != nil || size == 0 {
		return placeError("read", path, err)
	}
	first := make([]byte, len(separator))
	n, err := file.ReadAt(first, 0)
	if n < len(first) && size >= int64(len(first)) {
		return placeError("read", path, err)
	}
	if string(first[:n]) != separator {
		return refused(path, fmt.Sprintf("is not an mbox: it begins with %.10q, not with \"From \"", first[:n]),
			"name a new file, or one that a mail program has written as mbox")
	}
	return nil
}
