// Package faultfs is the file system of the operating system with calls that fail, for tests
// of what uses package durable.
package faultfs

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"slices"
	"sync"
	"syscall"

	"popfetch/internal/durable"
)

// FS is a file system. It records its operations, such as "create tmp/NAME" or "sync file".
// It implements delivertest.Faults. The fields are set while no call runs; the methods may run
// concurrently.
type FS struct {
	durable.OS
	// Name returns the name under which an operation is recorded; nil = as it is.
	Name func(op string) string
	// Before is called before each operation; nil = nothing.
	Before func(op string)
	// Fail returns the error of operation number n, from 0, and nil for none. Arm sets it.
	Fail func(n int, op string) error
	// SyncFS takes the place of that of the operating system; nil = that.
	SyncFS func() (done bool, err error)

	mu     sync.Mutex
	ops    []string
	failed string
	open   []durable.AppendFile
}

// do records op and calls fn, unless op has to fail.
func (f *FS) do(op string, fn func() error) error {
	if f.Name != nil {
		op = f.Name(op)
	}
	f.mu.Lock()
	n := len(f.ops)
	f.ops = append(f.ops, op)
	fail, before := f.Fail, f.Before
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

// value is do for a call that returns a value.
func value[T any](f *FS, op string, fn func() (T, error)) (v T, err error) {
	err = f.do(op, func() (err error) {
		v, err = fn()
		return err
	})
	return v, err
}

// Ops returns the operations since the last Reset or Arm, in the order of the calls.
func (f *FS) Ops() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.ops)
}

// Count returns how often op was called.
func (f *FS) Count(op string) int {
	n := 0
	for _, done := range f.Ops() {
		if done == op {
			n++
		}
	}
	return n
}

// Reset forgets the operations.
func (f *FS) Reset() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.ops = nil
}

// Arm makes operation number n from now fail with EIO, with dead all after it too.
func (f *FS) Arm(n int, dead bool) {
	f.Reset()
	f.failed = ""
	f.Fail = func(i int, op string) error {
		if i < n || i > n && !dead {
			return nil
		}
		f.mu.Lock()
		defer f.mu.Unlock()
		if f.failed == "" {
			f.failed = op
		}
		return syscall.EIO
	}
}

// Failed returns the first operation that has failed since Arm, "" if none has.
func (f *FS) Failed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

// Disarm ends the failures.
func (f *FS) Disarm() { f.Fail = nil }

// Die closes the files that were opened to append, as the end of the process does, and so
// frees their locks.
func (f *FS) Die() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, file := range f.open {
		file.Close()
	}
	f.open = nil
}

func (f *FS) MakeDirs(path string) error {
	return f.do("make "+filepath.Base(path), func() error { return f.OS.MakeDirs(path) })
}

func (f *FS) OpenDir(path string) (durable.Dir, error) {
	name := filepath.Base(path)
	d, err := value(f, "open "+name, func() (durable.Dir, error) { return f.OS.OpenDir(path) })
	if err != nil {
		return nil, err
	}
	return &dir{Dir: d, f: f, name: name}, nil
}

type dir struct {
	durable.Dir
	f    *FS
	name string
}

func (d *dir) OpenDir(name string) (durable.Dir, error) {
	sub, err := value(d.f, "open "+name, func() (durable.Dir, error) { return d.Dir.OpenDir(name) })
	if err != nil {
		return nil, err
	}
	return &dir{Dir: sub, f: d.f, name: name}, nil
}

func (d *dir) Create(name string) (durable.File, error) {
	made, err := value(d.f, "create "+d.name+"/"+name, func() (durable.File, error) { return d.Dir.Create(name) })
	if err != nil {
		return nil, err
	}
	return &file{File: made, f: d.f}, nil
}

func (d *dir) Append(name string) (durable.AppendFile, error) {
	opened, err := value(d.f, "append to "+d.name+"/"+name, func() (durable.AppendFile, error) { return d.Dir.Append(name) })
	if err != nil {
		return nil, err
	}
	d.f.mu.Lock()
	defer d.f.mu.Unlock()
	d.f.open = append(d.f.open, opened)
	return &appendFile{AppendFile: opened, f: d.f}, nil
}

func (d *dir) Read(name string, most int) ([]byte, error) {
	return value(d.f, "read "+d.name+"/"+name, func() ([]byte, error) { return d.Dir.Read(name, most) })
}

func (d *dir) Link(name, newname string) error {
	return d.f.do("link "+d.name+"/"+name+" "+newname, func() error { return d.Dir.Link(name, newname) })
}

func (d *dir) Rename(name string, to durable.Dir, newname string) error {
	target := to.(*dir)
	return d.f.do("rename "+d.name+"/"+name+" "+target.name+"/"+newname, func() error {
		return d.Dir.Rename(name, target.Dir, newname)
	})
}

func (d *dir) Remove(name string) error {
	return d.f.do("remove "+d.name+"/"+name, func() error { return d.Dir.Remove(name) })
}

func (d *dir) Stat(name string) (durable.Info, error) {
	return value(d.f, "stat "+d.name+"/"+name, func() (durable.Info, error) { return d.Dir.Stat(name) })
}

func (d *dir) Names() ([]string, error) { return value(d.f, "names of "+d.name, d.Dir.Names) }
func (d *dir) Writable() error          { return d.f.do("may write "+d.name, d.Dir.Writable) }
func (d *dir) ID() (durable.ID, error)  { return value(d.f, "id of "+d.name, d.Dir.ID) }
func (d *dir) Sync() error              { return d.f.do("sync "+d.name, d.Dir.Sync) }

func (d *dir) SyncFS() (done bool, err error) {
	if d.f.SyncFS != nil {
		return value(d.f, "sync file system", d.f.SyncFS)
	}
	return value(d.f, "sync file system", d.Dir.SyncFS)
}

type file struct {
	durable.File
	f *FS
}

func (f *file) Write(p []byte) (int, error) {
	return value(f.f, "write", func() (int, error) { return f.File.Write(p) })
}

func (f *file) Sync() error { return f.f.do("sync file", f.File.Sync) }

func (f *file) Close() error {
	err := f.File.Close() // always, to free the descriptor
	return f.f.do("close file", func() error { return err })
}

type appendFile struct {
	durable.AppendFile
	f *FS
}

// Write is two operations: one fails before its effect, one after half of it.
func (f *appendFile) Write(p []byte) (n int, err error) {
	for _, half := range []struct {
		op   string
		text []byte
	}{{"append", p[:len(p)/2]}, {"append the second half", p[len(p)/2:]}} {
		m, err := value(f.f, half.op, func() (int, error) { return f.AppendFile.Write(half.text) })
		n += m
		if err != nil {
			return n, err
		}
	}
	return n, nil
}

// Close closes the file unless Die has.
func (f *appendFile) Close() error {
	if err := f.AppendFile.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

func (f *appendFile) Sync() error            { return f.f.do("sync appended file", f.AppendFile.Sync) }
func (f *appendFile) Size() (int64, error)   { return value(f.f, "size", f.AppendFile.Size) }
func (f *appendFile) TryLock() (bool, error) { return value(f.f, "lock", f.AppendFile.TryLock) }

func (f *appendFile) Truncate(size int64) error {
	return f.f.do("truncate", func() error { return f.AppendFile.Truncate(size) })
}

func (f *appendFile) Reserve(octets int64) error {
	return f.f.do("reserve", func() error { return f.AppendFile.Reserve(octets) })
}

func (f *appendFile) ReadAt(p []byte, offset int64) (int, error) {
	return value(f.f, "read appended file", func() (int, error) { return f.AppendFile.ReadAt(p, offset) })
}
