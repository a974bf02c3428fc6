//go:build unix

package durable

import (
	"errors"

	"golang.org/x/sys/unix"
)

// lookAndRename renames if the new name does not exist. A file that appears between
// the look and the rename is replaced, so the caller's names have to be unique.
func lookAndRename(olddir int, old string, newdir int, new string) error {
	var st unix.Stat_t
	err := unix.Fstatat(newdir, new, &st, unix.AT_SYMLINK_NOFOLLOW)
	if err == nil {
		return unix.EEXIST
	}
	if !errors.Is(err, unix.ENOENT) {
		return err
	}
	return unix.Renameat(olddir, old, newdir, new)
}
