//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"golang.org/x/sys/unix"
)

// diskGroup is how many files share their syncs.
const diskGroup = 256

// diskFloor is the floor of the disk: the same messages written into a Maildir by
// somebody who has them in memory, one syncfs for a group of files, then their
// renames and one sync of new/. It returns the time in seconds.
func diskFloor(home string, texts [][]byte) (float64, error) {
	tmp, ready := filepath.Join(home, "tmp"), filepath.Join(home, "new")
	for _, dir := range []string{tmp, ready} {
		if err := os.Mkdir(dir, 0o700); err != nil {
			return 0, err
		}
	}
	inbox, err := os.Open(ready)
	if err != nil {
		return 0, err
	}
	defer inbox.Close()
	begin := time.Now()
	for first := 0; first < len(texts); first += diskGroup {
		group := texts[first:min(first+diskGroup, len(texts))]
		for i, text := range group {
			if err := os.WriteFile(filepath.Join(tmp, fmt.Sprint(first+i)), text, 0o600); err != nil {
				return 0, err
			}
		}
		if err := unix.Syncfs(int(inbox.Fd())); err != nil {
			return 0, fmt.Errorf("syncfs %s: %w", home, err)
		}
		for i := range group {
			name := fmt.Sprint(first + i)
			if err := os.Rename(filepath.Join(tmp, name), filepath.Join(ready, name)); err != nil {
				return 0, err
			}
		}
		if err := inbox.Sync(); err != nil {
			return 0, err
		}
	}
	return time.Since(begin).Seconds(), nil
}
