// Package durable writes files and directory entries that survive a power cut, and
// explains the errors of a file system to the user.
//
// FS, Dir and File are a seam: tests put a file system there that injects faults or
// omits operations. They work below an open directory descriptor, so that a
// directory or symbolic link that somebody puts in its place later cannot redirect
// them. SyncDir and Create do the same for a single path.
package durable

import (
	"io"
	"time"
)

// FS makes and opens directories by path. Implementations are safe for concurrent use.
type FS interface {
	// MakeDirs creates the directory path and its missing parents, mode 0700
	// whatever the umask, if the file system has modes. What root makes in a
	// directory of somebody else belongs to that user. When it returns nil the new entries are durable. So is
	// the entry of the deepest directory that existed before: an earlier call
	// may have been killed before it synced that one. The modes of existing
	// directories do not change.
	MakeDirs(path string) error
	// OpenDir opens the directory path. Symbolic links in it are followed. For root
	// it is an *OwnerError if somebody else than root and the owner of the directory
	// could have put another one there.
	OpenDir(path string) (Dir, error)
}

// Dir is an open directory. A name is one entry of it, never a path. A symbolic
// link is never followed. A Dir is safe for concurrent use.
//
// The errors are those of the operating system, wrapped: errors.Is finds
// fs.ErrNotExist, fs.ErrExist and the error numbers.
type Dir interface {
	// OpenDir opens the subdirectory name; anything else there is an error.
	OpenDir(name string) (Dir, error)
	// Create makes the file name, mode 0600 whatever the umask, if the file system has
	// modes. For root the file belongs to the owner of the directory. An existing
	// name is fs.ErrExist.
	Create(name string) (File, error)
	// Append opens the regular file name to read it and to write at its end.
	// Anything else there is an error.
	Append(name string) (AppendFile, error)
	// Read returns the first octets of the regular file name, at most so many.
	Read(name string, most int) ([]byte, error)
	// Link gives the file name the second name newname. An existing newname is
	// fs.ErrExist.
	Link(name, newname string) error
	// Rename moves the entry name to newname in the directory to, of the same
	// implementation. An existing newname is fs.ErrExist and stays as it is.
	// Nothing is durable before Sync of to.
	Rename(name string, to Dir, newname string) error
	// Remove removes the entry name, which is not a directory.
	Remove(name string) error
	// Stat describes the entry name.
	Stat(name string) (Info, error)
	// Names returns the names of all entries but "." and "..", unordered.
	Names() ([]string, error)
	// Writable returns nil if entries can be made here, and otherwise why not: no
	// permission, or a file system that is mounted read-only.
	Writable() error
	// ID identifies the directory.
	ID() (ID, error)
	// Sync makes the entries durable. After an error a second call proves
	// nothing: the kernel reports a lost write once.
	Sync() error
	// SyncFS makes durable the content of all files written to the directory's
	// file system since the directory was opened, whoever wrote them. It
	// declines, with done false and no error, where the kernel would not report
	// every lost write or where other programs have much unwritten data: each
	// file then needs its own Sync. After an error no content is to be trusted.
	// See syncfs(2).
	SyncFS() (done bool, err error)
	// Close frees the descriptor.
	Close() error
}

// File is a file that is being written.
type File interface {
	io.Writer
	// Sync makes the content durable. After an error the content is not to be
	// trusted, whatever a second call returns.
	Sync() error
	// Close frees the descriptor. An error may mean lost content.
	Close() error
}

// AppendFile is a file that other programs read and write too. Each Write goes to what
// is the end of the file at that moment.
type AppendFile interface {
	File
	io.ReaderAt
	// Size returns the length of the file now.
	Size() (int64, error)
	// Truncate cuts the file to size octets. That is durable after Sync.
	Truncate(size int64) error
	// Reserve allocates room for octets more at the end without making the file
	// longer, so that a full disk shows before Write. Where the file system cannot do
	// that it does nothing.
	Reserve(octets int64) error
	// TryLock locks the whole file against the fcntl(2) locks of other programs and
	// against other open files of this process. It returns false if one of them holds
	// a lock. Close frees the lock.
	TryLock() (bool, error)
	// ID identifies the file.
	ID() (ID, error)
}

// Info describes a directory entry.
type Info struct {
	Octets  int64
	ModTime time.Time
	Links   int  // names that the file has
	Regular bool // a regular file
	Dir     bool // a directory
	Private bool // its mode allows its owner only
}

// ID tells one directory or file from another, also after a restart of the system.
type ID struct {
	Device uint64 // may change when the system is started again
	Inode  uint64
	Born   int64 // time of creation in Unix nanoseconds, 0 = unknown
}

// Same reports whether both are the same directory or file. btrfs, NFS and others assign a
// new device number at each mount, so the time of creation decides where both know
// it.
func (id ID) Same(other ID) bool {
	if id.Inode != other.Inode {
		return false
	}
	if id.Born != 0 && other.Born != 0 {
		return id.Born == other.Born
	}
	return id.Device == other.Device
}
