// Package model is a file system in memory that knows what a power cut may leave of it, for
// tests of code that must keep mail in a power cut.
//
// A Disk holds each file and directory twice: as programs see it, and what of it is durable.
// Cut returns one disk that a power cut may leave, Cuts all of them. What was not synced may
// be left as follows:
//
//   - Of the octets written to a file since its last sync: none, the first half, all, or
//     the full length with zeros in place of all, of the first half or of the second
//     half, since a file system writes length and blocks separately.
//   - An entry that was made in a directory or removed from it: done or not done,
//     independently of all other entries, also of earlier ones. Only changes of the
//     same entry keep their order.
//   - A rename: not done, done, or both names exist. The new name may exist without the
//     content. At least one name exists: ext4, xfs and btrfs write both halves of a
//     rename in one transaction. POSIX does not promise that, but where both names
//     can be lost no program can use rename.
//
// A sync of a file makes its content durable, not its name: some file systems do more, but
// POSIX promises no more. A sync of a directory makes its entries durable. If it makes
// durable that a rename removed a name, it does so with the new name of the file too.
//
// A program that is killed leaves the Disk as it is, with everything that is not durable:
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

// Disk is a disk with its root directory. It implements durable.FS. It and its open
// directories and files are safe for concurrent use.
type Disk struct {
	// Watch, if not nil, is called after each operation that changes something or makes
	// it durable, with the operation ("rename tmp/a new/b") and a copy of the disk.
	// Calls do not overlap. Watch must not use the Disk itself. It is set before
	// the disk is used.
	Watch func(op string, now *Disk)

	mu      sync.Mutex
	nodes   []node   // by inode number; none has number 0
	pending []change // changes of directories that are not durable, in the order of the calls
	number  int      // of the last change
}

var _ durable.FS = (*Disk)(nil)

const rootInode = 1

// node is a file or a directory. Its slices are never changed in place, since copies of the
// disk share them.
type node struct {
	name string // its first name, for messages
	dir  bool
	made time.Time

	now, sure []entry // of a directory: what programs see, what is durable

	data []byte // of a file
	safe int    // how many of the first octets are durable
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

// Clone returns a copy without Watch. What is not durable is not durable in the copy either.
func (d *Disk) Clone() *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.clone()
}

// clone is Clone for a caller that holds mu.
func (d *Disk) clone() *Disk {
	return &Disk{nodes: slices.Clone(d.nodes), pending: slices.Clone(d.pending), number: d.number}
}

// Durable reports whether a power cut would change nothing.
func (d *Disk) Durable() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.pending) == 0 && !slices.ContainsFunc(d.nodes, func(n node) bool { return n.safe < len(n.data) })
}

// report calls Watch.
func (d *Disk) report(op string) {
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

// make makes a new file or directory. An existing name is EEXIST.
func (d *Disk) make(parent int, name string, dir bool) (inode int, err error) {
	if lookup(d.nodes[parent].now, name) != 0 {
		return 0, syscall.EEXIST
	}
	inode = len(d.nodes)
	d.nodes = append(d.nodes, node{name: name, dir: dir, made: time.Now()})
	d.enter(effect{dir: parent, name: name, inode: inode})
	return inode, nil
}

// Mkdir makes one directory, as mkdir(2) does. Its entry is not durable.
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
	d.report("mkdir " + path)
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
			d.report("mkdir " + name)
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

// fileAt returns the inode of the file path.
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

// Move renames from to to, as another program does. A power cut leaves one of the two names,
// never both. All changes that are pending for the file reach the disk before it, as in
// a journal.
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
	d.report("move " + from)
	return nil
}

// Inode is a directory entry and the file that it names.
type Inode struct {
	Name   string
	Number int
	Data   []byte // of a file; belongs to the disk
}

// Files returns the entries of the directory path in no order, none if it does not exist.
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

// lookup returns the inode of name, 0 if there is none.
func lookup(entries []entry, name string) int {
	for _, e := range entries {
		if e.name == name {
			return e.inode
		}
	}
	return 0
}

// links returns how many names a file has.
func (d *Disk) links(inode int) int {
	count := 0
	for _, n := range d.nodes {
		for _, e := range n.now {
			if e.inode == inode {
				count++
			}
		}
	}
	return count
}
