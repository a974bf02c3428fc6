// Package durable does to files and directories what has to survive a power cut,
// behind a seam where tests put faults in and leave operations out.
//
// Everything below a directory is done through its open descriptor: who puts
// another directory or a symbolic link in its place later cannot redirect it.
package durable

import (
	"io"
	"time"
)

// FS is where paths begin. Implementations are safe for concurrent use.
type FS interface {
	// MakeDirs creates the directory path and the parents that it lacks, mode
	// 0700 whatever the umask. When it returns nil the new entries are durable, and
	// so is the entry of the deepest directory that was there before, which
	// may be the leftover of a call that was cut short. Modes of directories
	// that were there stay as they are.
	MakeDirs(path string) error
	// OpenDir opens the directory path. Symbolic links in it are followed.
	OpenDir(path string) (Dir, error)
}

// Dir is an open directory. A name is one entry of it, never a path, and never
// followed where it is a symbolic link. It is safe for concurrent use.
//
// The errors are those of the operating system, wrapped: errors.Is finds
// fs.ErrNotExist, fs.ErrExist and the error numbers.
type Dir interface {
	// OpenDir opens the subdirectory name; anything else there is an error.
	OpenDir(name string) (Dir, error)
	// Create makes the file name, mode 0600 whatever the umask. It is an error
	// where the name exists.
	Create(name string) (File, error)
	// Rename moves the entry name to newname in the directory to, of the same
	// implementation. An existing newname is fs.ErrExist and stays as it is.
	// Nothing is durable before Sync of to.
	Rename(name string, to Dir, newname string) error
	// Remove removes the entry name, which is not a directory.
	Remove(name string) error
	// Stat says what the entry name is.
	Stat(name string) (Info, error)
	// Names returns the names of all entries but "." and "..", unordered.
	Names() ([]string, error)
	// Writable says, by its error, why entries cannot be made here: no
	// permission, or a file system that is mounted read-only.
	Writable() error
	// ID says which directory this is.
	ID() (ID, error)
	// Sync makes the entries durable. After an error it must not be
	// called again to find out whether they are: the kernel reports a lost
	// write once.
	Sync() error
	// SyncFS makes the content of all files durable that have been written to the
	// file system of the directory since it was opened, whoever has written
	// them. It is not done where that would not report every lost write, or
	// others have much to write: then each file needs its own Sync. After an error
	// no content is to be trusted. syncfs(2)
	SyncFS() (done bool, err error)
	// Close frees the descriptor.
	Close() error
}

// File is a file that is being written.
type File interface {
	io.Writer
	// Sync makes the content durable. After an error the content is not to be
	// trusted, whatever a second call says.
	Sync() error
	// Close frees the descriptor. An error may mean lost content.
	Close() error
}

// Info is what Stat tells.
type Info struct {
	Octets  int64
	ModTime time.Time
	Regular bool // a regular file
	Dir     bool // a directory
}

// ID tells one directory from another, also over a restart of the system.
type ID struct {
	Device uint64 // may change when the system is started again
	Inode  uint64
	Born   int64 // time of creation in Unix nanoseconds, 0 where it is not known
}

// Same says whether both are the same directory. Device numbers are given out
// anew at each mount on btrfs, NFS and others, so the time of creation
// decides where it is known.
func (id ID) Same(other ID) bool {
	if id.Inode != other.Inode {
		return false
	}
	if id.Born != 0 && other.Born != 0 {
		return id.Born == other.Born
	}
	return id.Device == other.Device
}
