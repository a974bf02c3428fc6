package mbox

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"popfetch/internal/durable"
)

// faults is the file system of the system. It makes calls fail.
type faults struct {
	durable.OS
	mu     sync.Mutex
	n      int // calls since Arm
	at     int // the call that fails, -1 = none
	dead   bool
	failed string
	files  []durable.AppendFile // that are open
}

// do calls fn, unless op has to fail.
func (f *faults) do(op string, fn func() error) error {
	f.mu.Lock()
	hit := f.at >= 0 && (f.n == f.at || f.dead && f.n > f.at)
	f.n++
	if hit && f.failed == "" {
		f.failed = op
	}
	f.mu.Unlock()
	if hit {
		return fmt.Errorf("%s: %w", op, syscall.EIO)
	}
	return fn()
}

func (f *faults) Arm(n int, dead bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.n, f.at, f.dead, f.failed = 0, n, dead, ""
}

func (f *faults) Failed() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.failed
}

func (f *faults) Disarm() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.at = -1
}

// die closes every mbox, as the end of the process does. Its lock files stay.
func (f *faults) die() {
	for _, file := range f.files {
		file.Close()
	}
	f.files = nil
}

func (f *faults) MakeDirs(path string) error {
	return f.do("make directories", func() error { return f.OS.MakeDirs(path) })
}

func (f *faults) OpenDir(path string) (durable.Dir, error) {
	var dir durable.Dir
	err := f.do("open directory", func() (err error) {
		dir, err = f.OS.OpenDir(path)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultDir{dir, f}, nil
}

type faultDir struct {
	durable.Dir
	f *faults
}

func (d *faultDir) Create(name string) (durable.File, error) {
	var file durable.File
	err := d.f.do("create "+name, func() (err error) {
		file, err = d.Dir.Create(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	return &faultFile{File: file, f: d.f}, nil
}

func (d *faultDir) Append(name string) (durable.AppendFile, error) {
	var file durable.AppendFile
	err := d.f.do("open "+name, func() (err error) {
		file, err = d.Dir.Append(name)
		return err
	})
	if err != nil {
		return nil, err
	}
	d.f.files = append(d.f.files, file)
	return &faultAppend{AppendFile: file, f: d.f}, nil
}

func (d *faultDir) Read(name string, most int) (text []byte, err error) {
	err = d.f.do("read "+name, func() (err error) {
		text, err = d.Dir.Read(name, most)
		return err
	})
	return text, err
}

func (d *faultDir) Stat(name string) (info durable.Info, err error) {
	err = d.f.do("stat "+name, func() (err error) {
		info, err = d.Dir.Stat(name)
		return err
	})
	return info, err
}

func (d *faultDir) ID() (id durable.ID, err error) {
	err = d.f.do("id of directory", func() (err error) {
		id, err = d.Dir.ID()
		return err
	})
	return id, err
}

func (d *faultDir) Link(name, newname string) error {
	return d.f.do("link "+newname, func() error { return d.Dir.Link(name, newname) })
}

func (d *faultDir) Remove(name string) error {
	return d.f.do("remove "+name, func() error { return d.Dir.Remove(name) })
}

func (d *faultDir) Sync() error { return d.f.do("sync directory", d.Dir.Sync) }

type faultFile struct {
	durable.File
	f *faults
}

func (f *faultFile) Write(p []byte) (n int, err error) {
	err = f.f.do("write lock file", func() (err error) {
		n, err = f.File.Write(p)
		return err
	})
	return n, err
}

type faultAppend struct {
	durable.AppendFile
	f *faults
}

// Write has two calls: one fails before its effect, one after half of it.
func (f *faultAppend) Write(p []byte) (n int, err error) {
	err = f.f.do("write", func() error { return nil })
	if err != nil {
		return 0, err
	}
	half := len(p) / 2
	if n, err = f.AppendFile.Write(p[:half]); err != nil {
		return n, err
	}
	err = f.f.do("write the second half", func() error { return nil })
	if err != nil {
		return n, err
	}
	m, err := f.AppendFile.Write(p[half:])
	return n + m, err
}

// Close closes the file unless die has.
func (f *faultAppend) Close() error {
	if err := f.AppendFile.Close(); !errors.Is(err, fs.ErrClosed) {
		return err
	}
	return nil
}

func (f *faultAppend) Sync() error { return f.f.do("sync", f.AppendFile.Sync) }

func (f *faultAppend) Size() (n int64, err error) {
	err = f.f.do("size", func() (err error) {
		n, err = f.AppendFile.Size()
		return err
	})
	return n, err
}

func (f *faultAppend) Truncate(size int64) error {
	return f.f.do("truncate", func() error { return f.AppendFile.Truncate(size) })
}

func (f *faultAppend) Reserve(octets int64) error {
	return f.f.do("reserve", func() error { return f.AppendFile.Reserve(octets) })
}

func (f *faultAppend) TryLock() (ok bool, err error) {
	err = f.f.do("lock", func() (err error) {
		ok, err = f.AppendFile.TryLock()
		return err
	})
	return ok, err
}

func (f *faultAppend) ReadAt(p []byte, offset int64) (n int, err error) {
	var end error
	err = f.f.do("read", func() error {
		n, end = f.AppendFile.ReadAt(p, offset)
		return nil
	})
	if err == nil {
		err = end
	}
	return n, err
}

// noNewFiles is a file system whose directories allow no new files.
type noNewFiles struct{ *faults }

func (n noNewFiles) OpenDir(path string) (durable.Dir, error) {
	dir, err := n.faults.OpenDir(path)
	return noNewFilesDir{dir}, err
}

type noNewFilesDir struct{ durable.Dir }

func (d noNewFilesDir) Create(string) (durable.File, error) { return nil, syscall.EACCES }
func (d noNewFilesDir) Remove(name string) error            { return syscall.ENOENT }
