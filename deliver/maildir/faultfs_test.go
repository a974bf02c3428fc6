package maildir

import (
	"fmt"
	"path/filepath"
	"regexp"
	"sync"
	"syscall"

	"popfetch/internal/durable"
)

// faults is the file system of the system. It records all operations and can make them fail.
type faults struct {
	durable.OS
	mu     sync.Mutex
	ops    []string                     // in the order of the calls; NAME stands for the name of a message
	fail   func(n int, op string) error // returns the error of operation number n, from 0
	before func(op string)              // called before each operation, or nil
	// syncFS takes the place of SyncFS, nil = that of the operating system.
	syncFS func() (done bool, err error)
}

var messageName = regexp.MustCompile(`\d+\.P\d+T[0-9a-f]{16}R[0-9a-f]{32}\.[^, ]+`)

// do records op and calls fn, unless op has to fail.
func (f *faults) do(op string, fn func() error) error {
	op = messageName.ReplaceAllString(op, "NAME")
	f.mu.Lock()
	n := len(f.ops)
	f.ops = append(f.ops, op)
	fail, before := f.fail, f.before
	f.mu.Unlock()
	if before != nil {
		before(op)
	}
	if fail != nil {
		if err := fail(n, op); err != nil {
			return fmt.Errorf("%s: %w", op, err)
		}
	}
	return fn()
}

func (f *faults) reset() { f.ops = nil }

// count returns how often op was called.
func (f *faults) count(op string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for _, done := range f.ops {
		if done == op {
			n++
		}
	}
	return n
}

func (f *faults) MakeDirs(path string) error {
	return f.do("make "+filepath.Base(path), func() error { return f.OS.MakeDirs(path) })
}

func (f *faults) OpenDir(path string) (durable.Dir, error) {
	var dir durable.Dir
	err := f.do("open "+filepath.Base(path), func() (err error) {
		dir, err = f.OS.OpenDir(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultDir{Dir: dir, f: f, name: filepath.Base(path)}, nil
}

type faultDir struct {
	durable.Dir
	f    *faults
	name string
}

func (d *faultDir) OpenDir(name string) (durable.Dir, error) {
	var dir durable.Dir
	err := d.f.do("open "+name, func() (err error) {
		dir, err = d.Dir.OpenDir(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultDir{Dir: dir, f: d.f, name: name}, nil
}

func (d *faultDir) Create(name string) (durable.File, error) {
	var file durable.File
	err := d.f.do("create "+d.name+"/"+name, func() (err error) {
		file, err = d.Dir.Create(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, f: d.f}, nil
}

func (d *faultDir) Rename(name string, to durable.Dir, newname string) error {
	target := to.(*faultDir)
	return d.f.do("rename "+d.name+"/"+name+" "+target.name+"/"+newname, func() error {
		return d.Dir.Rename(name, target.Dir, newname)
	})
}

func (d *faultDir) Remove(name string) error {
	return d.f.do("remove "+d.name+"/"+name, func() error { return d.Dir.Remove(name) })
}

func (d *faultDir) Stat(name string) (info durable.Info, err error) {
	err = d.f.do("stat "+d.name+"/"+name, func() (err error) {
		info, err = d.Dir.Stat(name)
		return err
	})
	return info, err
}

func (d *faultDir) Names() (names []string, err error) {
	err = d.f.do("names of "+d.name, func() (err error) {
		names, err = d.Dir.Names()
		return err
	})
	return names, err
}

func (d *faultDir) Writable() error {
	return d.f.do("may write "+d.name, d.Dir.Writable)
}

func (d *faultDir) ID() (id durable.ID, err error) {
	err = d.f.do("id of "+d.name, func() (err error) {
		id, err = d.Dir.ID()
		return err
	})
	return id, err
}

func (d *faultDir) Sync() error { return d.f.do("sync "+d.name, d.Dir.Sync) }

func (d *faultDir) SyncFS() (done bool, err error) {
	syncFS := d.Dir.SyncFS
	if d.f.syncFS != nil {
		syncFS = d.f.syncFS
	}
	err = d.f.do("sync file system", func() (err error) {
		done, err = syncFS()
		return err
	})
	return done, err
}

type faultFile struct {
	durable.File
	f *faults
}

func (f *faultFile) Write(p []byte) (int, error) {
	n := 0
	err := f.f.do("write", func() (err error) {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

func (f *faultFile) Sync() error { return f.f.do("sync file", f.File.Sync) }

func (f *faultFile) Close() error {
	err := f.File.Close() // always, to free the descriptor
	return f.f.do("close file", func() error { return err })
}

// callFaults implements delivertest.Faults.
type callFaults struct {
	f      *faults
	failed string
}

func (c *callFaults) Arm(n int, dead bool) {
	c.failed = ""
	c.f.reset()
	c.f.fail = func(i int, op string) error {
		if i < n || i > n && !dead {
			return nil
		}
		c.f.mu.Lock()
		defer c.f.mu.Unlock()
		if c.failed == "" {
			c.failed = op
		}
		return syscall.EIO
	}
}

func (c *callFaults) Failed() string { return c.failed }

func (c *callFaults) Disarm() { c.f.fail = nil }
