package model

import (
	"bytes"
	"io/fs"
	"syscall"

	"popfetch/internal/durable"
)

// dir is an open directory.
type dir struct {
	disk  *Disk
	inode int
}

// lock locks the disk and returns the directory.
func (d *dir) lock() (n *node, unlock func()) {
	d.disk.mu.Lock()
	return &d.disk.nodes[d.inode], d.disk.mu.Unlock
}

// fail returns the error of an operation on an entry.
func (d *dir) fail(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: d.disk.nodes[d.inode].name + "/" + name, Err: err}
}

func (d *dir) OpenDir(name string) (durable.Dir, error) {
	n, unlock := d.lock()
	defer unlock()
	inode := lookup(n.now, name)
	switch {
	case inode == 0:
		return nil, d.fail("open", name, syscall.ENOENT)
	case !d.disk.nodes[inode].dir:
		return nil, d.fail("open", name, syscall.ENOTDIR)
	}
	return &dir{disk: d.disk, inode: inode}, nil
}

func (d *dir) Create(name string) (durable.File, error) {
	_, unlock := d.lock()
	defer unlock()
	inode, err := d.disk.make(d.inode, name, false)
	if err != nil {
		return nil, d.fail("create", name, err)
	}
	d.disk.report("create " + d.disk.nodes[d.inode].name + "/" + name)
	return &file{disk: d.disk, inode: inode}, nil
}

func (d *dir) Append(name string) (durable.AppendFile, error) {
	n, unlock := d.lock()
	defer unlock()
	inode := lookup(n.now, name)
	switch {
	case inode == 0:
		return nil, d.fail("open", name, syscall.ENOENT)
	case d.disk.nodes[inode].dir:
		return nil, d.fail("open", name, syscall.EISDIR)
	}
	return &file{disk: d.disk, inode: inode}, nil
}

func (d *dir) Read(name string, most int) ([]byte, error) {
	n, unlock := d.lock()
	defer unlock()
	inode := lookup(n.now, name)
	if inode == 0 {
		return nil, d.fail("read", name, syscall.ENOENT)
	}
	data := d.disk.nodes[inode].data
	return data[:min(len(data), most)], nil
}

func (d *dir) Link(name, newname string) error {
	n, unlock := d.lock()
	defer unlock()
	inode := lookup(n.now, name)
	switch {
	case inode == 0:
		return d.fail("link", name, syscall.ENOENT)
	case lookup(n.now, newname) != 0:
		return d.fail("link", newname, syscall.EEXIST)
	}
	d.disk.enter(effect{dir: d.inode, name: newname, inode: inode})
	d.disk.report("link " + n.name + "/" + name + " " + newname)
	return nil
}

func (d *dir) Rename(name string, to durable.Dir, newname string) error {
	n, unlock := d.lock()
	defer unlock()
	target, ok := to.(*dir)
	switch {
	case !ok || target.disk != d.disk:
		return d.fail("rename", name, syscall.EXDEV)
	case lookup(n.now, name) == 0:
		return d.fail("rename", name, syscall.ENOENT)
	case lookup(d.disk.nodes[target.inode].now, newname) != 0:
		return d.fail("rename", name, syscall.EEXIST)
	}
	d.disk.rename(d.inode, name, target.inode, newname)
	d.disk.report("rename " + n.name + "/" + name + " " + d.disk.nodes[target.inode].name + "/" + newname)
	return nil
}

func (d *dir) Remove(name string) error {
	n, unlock := d.lock()
	defer unlock()
	inode := lookup(n.now, name)
	switch {
	case inode == 0:
		return d.fail("remove", name, syscall.ENOENT)
	case d.disk.nodes[inode].dir:
		return d.fail("remove", name, syscall.EISDIR)
	}
	d.disk.enter(effect{dir: d.inode, name: name, inode: inode, gone: true})
	d.disk.report("remove " + n.name + "/" + name)
	return nil
}

func (d *dir) Stat(name string) (durable.Info, error) {
	n, unlock := d.lock()
	defer unlock()
	inode := lookup(n.now, name)
	if inode == 0 {
		return durable.Info{}, d.fail("stat", name, syscall.ENOENT)
	}
	found := &d.disk.nodes[inode]
	return durable.Info{
		Octets:  int64(len(found.data)),
		ModTime: found.made,
		Links:   d.disk.links(inode),
		Regular: !found.dir,
		Dir:     found.dir,
		Private: true,
	}, nil
}

func (d *dir) Names() ([]string, error) {
	n, unlock := d.lock()
	defer unlock()
	names := make([]string, 0, len(n.now))
	for _, e := range n.now {
		names = append(names, e.name)
	}
	return names, nil
}

func (d *dir) Writable() error { return nil }

// ID is the same after a power cut: a disk keeps the numbers of its inodes.
func (d *dir) ID() (durable.ID, error) {
	n, unlock := d.lock()
	defer unlock()
	return durable.ID{Device: 1, Inode: uint64(d.inode), Born: n.made.UnixNano()}, nil
}

func (d *dir) Sync() error {
	_, unlock := d.lock()
	defer unlock()
	d.disk.syncDir(d.inode)
	return nil
}

func (d *dir) SyncFS() (done bool, err error) {
	_, unlock := d.lock()
	defer unlock()
	for i := range d.disk.nodes {
		n := &d.disk.nodes[i]
		n.safe = len(n.data)
	}
	d.disk.report("sync everything")
	return true, nil
}

func (d *dir) Close() error { return nil }

// file is a file that is being written, or appended to. Its lock is always free.
type file struct {
	disk  *Disk
	inode int
}

func (f *file) Write(p []byte) (int, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := &f.disk.nodes[f.inode]
	// Copies of the disk hold the same array: it is not written to.
	n.data = append(n.data[:len(n.data):len(n.data)], p...)
	f.disk.report("write " + n.name)
	return len(p), nil
}

func (f *file) Sync() error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := &f.disk.nodes[f.inode]
	n.safe = len(n.data)
	f.disk.report("sync " + n.name)
	return nil
}

func (f *file) Close() error { return nil }

// data returns the octets of the file. They belong to the disk.
func (f *file) data() []byte {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return f.disk.nodes[f.inode].data
}

func (f *file) ReadAt(p []byte, offset int64) (int, error) {
	return bytes.NewReader(f.data()).ReadAt(p, offset)
}

func (f *file) Size() (int64, error) { return int64(len(f.data())), nil }

// Truncate is durable at once: if a power cut undoes it, the file is as it was before.
func (f *file) Truncate(size int64) error {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	n := &f.disk.nodes[f.inode]
	n.data = n.data[:size:size]
	n.safe = min(n.safe, len(n.data))
	f.disk.report("truncate " + n.name)
	return nil
}

func (f *file) Reserve(int64) error { return nil }

func (f *file) TryLock() (bool, error) { return true, nil }

func (f *file) ID() (durable.ID, error) {
	f.disk.mu.Lock()
	defer f.disk.mu.Unlock()
	return durable.ID{Device: 1, Inode: uint64(f.inode), Born: f.disk.nodes[f.inode].made.UnixNano()}, nil
}
