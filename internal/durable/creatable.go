package durable

import (
	"errors"
	iofs "io/fs"
	"path/filepath"
)

// Creatable returns nil if entries can be made in the directory path, or if the
// directory is missing and can be created. It changes nothing.
func Creatable(fs FS, path string) error {
	for {
		dir, err := fs.OpenDir(path)
		switch {
		case err == nil:
			defer dir.Close()
			return dir.Writable()
		case !errors.Is(err, iofs.ErrNotExist) || path == filepath.Dir(path):
			return err
		}
		path = filepath.Dir(path)
	}
}
