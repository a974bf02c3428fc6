//go:build linux

package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"
	"golang.org/x/sys/unix"
)

// writer is a way to write messages into a Maildir so that each is durable before it becomes
// visible: write into tmp/, sync, rename into new/, sync. A group shares its directory syncs.
type writer struct {
	group    int  // files that share their directory syncs
	parallel int  // fsyncs at the same time, 0 = one syncfs for the whole group
	early    bool // start the write-out of each file at its end, without waiting
	overlap  bool // write the next group while the last one is synced
}

// diskFloor is the floor of the disk: the fastest writer of diskWriters, or one that is as
// fast within the noise, with the messages in memory.
var diskFloor = writer{group: 256, overlap: true}

// String describes the writer as the tables do.
func (w writer) String() string {
	way := "syncfs"
	if w.parallel > 0 {
		way = fmt.Sprintf("fsync, %d in parallel", w.parallel)
	}
	parts := []string{way}
	if w.early {
		parts = append(parts, "write-out asked for early")
	}
	if w.overlap {
		parts = append(parts, "next group written meanwhile")
	}
	return strings.Join(parts, ", ")
}

// target is a Maildir under construction.
type target struct {
	writer
	tmp, ready *os.File // the directories
}

// write puts the texts into a new Maildir below home and returns how many seconds
// that took.
func (w writer) write(home string, texts [][]byte) (seconds float64, err error) {
	t := &target{writer: w}
	for name, dir := range map[string]**os.File{"tmp": &t.tmp, "new": &t.ready} {
		path := filepath.Join(home, name)
		if err := os.Mkdir(path, 0o700); err != nil {
			return 0, err
		}
		if *dir, err = os.Open(path); err != nil {
			return 0, err
		}
		defer (*dir).Close()
	}
	begin := time.Now()
	var behind errgroup.Group // at most one group
	for first := 0; first < len(texts); first += w.group {
		files, err := t.stage(first, texts[first:min(first+w.group, len(texts))])
		if err != nil {
			return 0, err
		}
		if err := behind.Wait(); err != nil {
			return 0, err
		}
		behind = errgroup.Group{}
		if w.overlap {
			behind.Go(func() error { return t.publish(files) })
		} else if err := t.publish(files); err != nil {
			return 0, err
		}
	}
	err = behind.Wait()
	return time.Since(begin).Seconds(), err
}

// stage writes files into tmp/, named by numbers from first, and leaves them open.
func (t *target) stage(first int, texts [][]byte) ([]*os.File, error) {
	var files []*os.File
	for i, text := range texts {
		f, err := os.OpenFile(filepath.Join(t.tmp.Name(), fmt.Sprint(first+i)), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
		if err != nil {
			return nil, err
		}
		files = append(files, f)
		if _, err := f.Write(text); err != nil {
			return nil, err
		}
		if t.early {
			if err := unix.SyncFileRange(int(f.Fd()), 0, 0, unix.SYNC_FILE_RANGE_WRITE); err != nil {
				return nil, fmt.Errorf("sync_file_range %s: %w", f.Name(), err)
			}
		}
	}
	return files, nil
}

// publish makes the files durable, closes them and renames them, durably too.
func (t *target) publish(files []*os.File) error {
	if t.parallel == 0 {
		if err := unix.Syncfs(int(t.tmp.Fd())); err != nil {
			return fmt.Errorf("syncfs %s: %w", t.tmp.Name(), err)
		}
	} else {
		var work errgroup.Group
		work.SetLimit(t.parallel)
		for _, f := range files {
			work.Go(f.Sync)
		}
		if err := work.Wait(); err != nil {
			return err
		}
		if err := t.tmp.Sync(); err != nil {
			return err
		}
	}
	for _, f := range files {
		f.Close()
		if err := os.Rename(f.Name(), filepath.Join(t.ready.Name(), filepath.Base(f.Name()))); err != nil {
			return err
		}
	}
	return t.ready.Sync()
}
