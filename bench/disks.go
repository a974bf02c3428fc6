//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// diskWriters are the writers that -disk compares, in groups of 100.
func diskWriters() []writer {
	const group = 100
	var all []writer
	for _, overlap := range []bool{false, true} {
		for _, parallel := range []int{1, 4, 16, 32, 64, 100} {
			all = append(all, writer{group: group, parallel: parallel, overlap: overlap})
		}
		for _, parallel := range []int{1, 16, 64, 100} {
			all = append(all, writer{group: group, parallel: parallel, early: true, overlap: overlap})
		}
		all = append(all, writer{group: group, overlap: overlap}, writer{group: group, early: true, overlap: overlap})
	}
	return all
}

// compareDisk runs each writer in turn with the messages of a box, runs times, below dir.
func compareDisk(ctx context.Context, dir string, b box, runs int, writers []writer, progress io.Writer) ([]*entry, error) {
	var texts [][]byte
	for r := range b.recipes() {
		texts = append(texts, r.compose())
	}
	var entries []*entry
	for _, w := range writers {
		entries = append(entries, &entry{Name: w.String()})
	}
	for round := range runs {
		fmt.Fprintf(progress, "disk: run %d of %d\n", round+1, runs)
		for i, w := range writers {
			if ctx.Err() != nil {
				return nil, ctx.Err()
			}
			if err := w.measure(dir, texts, entries[i]); err != nil {
				return nil, err
			}
		}
	}
	return entries, nil
}

// measure runs a writer once in a new directory below dir and adds the time to e. The
// directory stays: with the mount option discard, removing it would slow down the next run.
func (w writer) measure(dir string, texts [][]byte, e *entry) error {
	home, err := os.MkdirTemp(dir, "disk")
	if err != nil {
		return err
	}
	unix.Sync() // no run pays for what an earlier one left to be written
	seconds, err := w.write(home, texts)
	if err == nil {
		e.Seconds = append(e.Seconds, seconds)
	}
	return err
}

// benchDisk compares the writers and writes the table into the directory out.
func benchDisk(ctx context.Context, o options) error {
	dir, err := os.MkdirTemp(o.disk, "popbench")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	b := mixed(5000)
	entries, err := compareDisk(ctx, dir, b, o.runs, diskWriters(), os.Stderr)
	if err != nil {
		return err
	}
	table, err := os.Create(filepath.Join(o.out, "disk.md"))
	if err != nil {
		return err
	}
	err = writeDiskTable(io.MultiWriter(table, os.Stdout), machine(dir), b.count, entries)
	return errors.Join(err, table.Close())
}

// writeDiskTable writes the times of every writer, and their ratio to the first one.
func writeDiskTable(w io.Writer, machine []string, files int, entries []*entry) error {
	var t markdown
	fmt.Fprintf(&t, "# %d messages made durable\n\n", files)
	t.list(machine)
	t.WriteString("\nThe messages of the fresh scenarios, from memory: written into `tmp/`, made durable, renamed into `new/`, made durable,\n" +
		"in groups of 100. All ways in turn; seconds of wall clock.\n\n")
	t.head("way", "runs:", "median:", "fastest:", "slowest:", "of the first:")
	for _, e := range entries {
		least, most := e.span()
		t.row(e.Name, fmt.Sprint(len(e.Seconds)), e.timed(), seconds(least), seconds(most), ratio(e, entries[0]))
	}
	_, err := io.WriteString(w, t.String())
	return err
}
