package maildir

import (
	"errors"
	"io/fs"
	"path/filepath"

	"popfetch/internal/durable"
)

// Check returns the error that Open would return, as far as that can be found out
// without changing anything, and whether the Maildir exists.
func (m *Maildir) Check() (exists bool, err error) {
	var files durable.FS = durable.OS{}
	if m.fs != nil {
		files = m.fs
	}
	root, err := files.OpenDir(m.Path)
	if errors.Is(err, fs.ErrNotExist) {
		if err := durable.Creatable(files, m.Path); err != nil {
			return false, placeError("create Maildir", m.Path, err)
		}
		return false, nil
	}
	if err != nil {
		return false, placeError("open Maildir", m.Path, err)
	}
	defer root.Close()
	missing, err := missingParts(root, m.Path)
	if err != nil {
		return false, err
	}
	if len(missing) > 0 {
		if err := root.Writable(); err != nil {
			return false, placeError("create Maildir", m.Path, err)
		}
		return false, nil
	}
	for _, part := range []string{"tmp", "new"} {
		path := filepath.Join(m.Path, part)
		dir, err := root.OpenDir(part)
		if err != nil {
			return true, placeError("open", path, err)
		}
		err = dir.Writable()
		dir.Close()
		if err != nil {
			return true, placeError("write to", path, err)
		}
	}
	return true, nil
}
