package mbox

import (
	"syscall"

	"popfetch/internal/durable"
)

// noNewFiles is a file system whose directories allow no new files.
type noNewFiles struct{ durable.OS }

func (n noNewFiles) OpenDir(path string) (durable.Dir, error) {
	dir, err := n.OS.OpenDir(path)
	return noNewFilesDir{dir}, err
}

type noNewFilesDir struct{ durable.Dir }

func (d noNewFilesDir) Create(string) (durable.File, error) { return nil, syscall.EACCES }
func (d noNewFilesDir) Remove(name string) error            { return syscall.ENOENT }
