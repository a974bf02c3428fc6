// Package model is a file system in memory that knows what a power cut may leave of it:
// test support for what has to keep mail through one.
//
// A Disk holds every file and directory twice, as programs see it and as far as
// it is certain to be on the disk. Cut builds one disk that a power cut may leave, Cuts
// all of them. What may happen to that which nobody has synced:
//
//   - The octets that a file has got since its last sync: none of them, the first half,
//     all, or the full length with zeros in place of all, of the first half or of the
//     second half. Length and blocks are written apart from each other.
//   - An entry that was made in a directory or removed from it: done or not, whatever
//     became of other entries, also of earlier ones. Only the changes of one and the
//     same entry keep their order.
//   - A rename is undone, or done, or has left both names. The new name never needs
//     the content to be there. That neither name is left is not among it: ext4, xfs and btrfs write
//     both halves of a rename in one transaction, and a program that has to
//     count with the loss of both could not rename at all. POSIX does not say so; both
//     names are what file systems without a journal may leave at best.
//
// A sync of a file makes its content certain and not its name (some file systems do
// more, POSIX promises no more). A sync of a directory makes its entries certain, and with
// the entry under which a rename took a file away the one under which it put it.
//
// A program that is killed leaves the Disk as it is, with all that is not yet certain:
// Clone.
package model

import (
	"errors"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"popfetch/internal/durable"
)

// Disk is one disk with its root directory. It implements durable.FS. It is safe for
// concurrent use, and so are the directories and files of it that are open.
type Disk struct {
	// Watch, if not nil, is called after each operation that has changed something, or
	// has made it certain, with what was done ("rename tmp/a new/b") and a copy
	// of the disk, never twice at a time. It must not use the Disk itself. It is set
	// before the disk is used.
	Watch func(op string, now *Disk)

	mu      sync.Mutex
	nodes   []node   // by inode number; none has number 0
	pending []change // what is not certain of directories, in the order of the calls
	number  int      // of the last change
}

var _ durable.FS = (*Disk)(nil)

const rootInode = 1

// node is a file or a directory. Slices are replaced and never changed in place, since
// copies of the disk share them.
type node struct {
	name string // what it was called first, for words
	dir  bool
	made time.Time

	now, sure []entry // of a directory: what programs see, what is certain

	data []byte // of a file
	safe int    // how many of the first octets are certain
}

// entry is one name in a directory.
type entry struct {
	name  string
	inode int
}

// New returns an empty disk.
func New() *Disk {
	return &Disk{nodes: []node{{}, {name: "/", dir: true, made: time.Now()}}}
}

// Clone returns a copy without Watch, with all that is not certain.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clone()
}

func (d *Disk) clone() *Disk {
	return &Disk{nodes: slices.Clone(d.nodes), pending: slices.Clone(d.pending), number: d.number}
}

// Certain says whether a power cut would change nothing.
func (d *Disk) Certain() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending) == 0 && !slices.ContainsFunc(d.nodes, func(n node) bool { return n.safe < len(n.data) })
}

// told calls Watch.
func (d *Disk) told(op string) {
	if d.Watch != nil {
		d.Watch(op, d.clone())
	}
}

// find returns the inode of path. Paths begin with a slash.
func (d *Disk) find(path string) (int, error) {
	inode := rootInode
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		if name == "" {
			continue
		}
		if !d.nodes[inode].dir {
			return 0, syscall.ENOTDIR
		}
		if inode = lookup(d.nodes[inode].now, name); inode == 0 {
			return 0, syscall.ENOENT
		}
	}
	return inode, nil
}

// split returns the directory of path and the last name in it.
func (d *Disk) split(path string) (dir int, name string, err error) {
	cut := strings.LastIndexByte(path, '/')
	dir, err = d.find(path[:cut])
	return dir, path[cut+1:], err
}

// make puts a new file or directory under a name that is free.
func (d *Disk) make(parent int, name string, dir bool) (inode int, err error) {
	if lookup(d.nodes[parent].now, name) != 0 {
		return 0, syscall.EEXIST
	}
	inode = len(d.nodes)
	d.nodes = append(d.nodes, node{name: name, dir: dir, made: time.Now()})
	d.enter(effect{dir: parent, name: name, inode: inode})
	return inode, nil
}

// Mkdir makes one directory, as mkdir(2) does. Its entry is not certain.
func (d *Disk) Mkdir(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	parent, name, err := d.split(path)
	if err == nil {
		_, err = d.make(parent, name, true)
	}
	if err != nil {
		return &fs.PathError{Op: "mkdir", Path: path, Err: err}
	}
	d.told("mkdir " + path)
	return nil
}

// MakeDirs implements durable.FS.
func (d *Disk) MakeDirs(path string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	parent := rootInode
	for name := range strings.SplitSeq(strings.Trim(path, "/"), "/") {
		inode, err := d.make(parent, name, true)
		if errors.Is(err, fs.ErrExist) {
			inode = lookup(d.nodes[parent].now, name)
		} else {
			d.told("mkdir " + name)
		}
		if !d.nodes[inode].dir {
			return &fs.PathError{Op: "mkdir", Path: path, Err: syscall.ENOTDIR}
		}
		d.syncDir(parent)
		parent = inode
	}
	return nil
}

// OpenDir implements durable.FS.
func (d *Disk) OpenDir(path string) (durable.Dir, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	inode, err := d.find(path)
	if err == nil && !d.nodes[inode].dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return &dir{disk: d, inode: inode}, nil
}

// Append opens the file path to write at its end.
func (d *Disk) Append(path string) (durable.File, error) {
	inode, err := d.fileAt(path)
	if err != nil {
		return nil, err
	}
	return &file{disk: d, inode: inode}, nil
}

// ReadFile returns what the file path holds. It belongs to the disk.
func (d *Disk) ReadFile(path string) ([]byte, error) {
	inode, err := d.fileAt(path)
	if err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.nodes[inode].data, nil
}

func (d *Disk) fileAt(path string) (int, error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	inode, err := d.find(path)
	if err == nil && d.nodes[inode].dir {
		err = syscall.EISDIR
	}
	if err != nil {
		return 0, &fs.PathError{Op: "open", Path: path, Err: err}
	}
	return inode, nil
}

// Move renames from to to, as another program does that this one has nothing to do with: a
// power cut leaves one of the two names, never both. Before that, all that is
// pending for the file has to be on the disk, as in a journal.
func (d *Disk) Move(from, to string) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	fromDir, name, err := d.split(from)
	if err != nil {
		return err
	}
	toDir, newname, err := d.split(to)
	if err != nil {
		return err
	}
	inode := lookup(d.nodes[fromDir].now, name)
	if inode == 0 || lookup(d.nodes[toDir].now, newname) != 0 {
		return &fs.PathError{Op: "move", Path: from, Err: fs.ErrInvalid}
	}
	d.enter(
		effect{dir: toDir, name: newname, inode: inode},
		effect{dir: fromDir, name: name, inode: inode, gone: true},
	)
	d.told("move " + from)
	return nil
}

// Inode is one name of the tree together with the number of the file that it names.
type Inode struct {
	Name   string
	Number int
	Data   []byte // of a file; belongs to the disk
}

// Files returns the entries of the directory path in no order, empty where it does not
// exist.
func (d *Disk) Files(path string) []Inode {
	d.mu.Lock()
	defer d.mu.Unlock()
	inode, err := d.find(path)
	if err != nil {
		return nil
	}
	files := make([]Inode, 0, len(d.nodes[inode].now))
	for _, e := range d.nodes[inode].now {
		files = append(files, Inode{e.name, e.inode, d.nodes[e.inode].data})
	}
	return files
}

// lookup returns the inode of name, 0 where there is none.
func lookup(entries []entry, name string) int {
	for _, e := range entries {
		if e.name == name {
			return e.inode
		}
	}
	return 0
}
