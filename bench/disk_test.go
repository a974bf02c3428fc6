//go:build linux

package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"testing"
)

// Every writer leaves every text in new/.
func TestWritersDeliverEveryText(t *testing.T) {
	for _, w := range append(diskWriters(), diskFloor) {
		home := t.TempDir()
		w.group = 3 // the last group has one
		var texts [][]byte
		for i := range 7 {
			texts = append(texts, fmt.Append(nil, "message ", i))
		}
		_, err := w.write(home, texts)
		must(t, err)
		for i, want := range texts {
			got, err := os.ReadFile(filepath.Join(home, "new", fmt.Sprint(i)))
			must(t, err)
			if string(got) != string(want) {
				t.Errorf("%v: file %d is %q", w, i, got)
			}
		}
	}
}

func TestEveryWriterIsTimedInEachRun(t *testing.T) {
	dir := t.TempDir()
	entries, err := compareDisk(t.Context(), dir, small(3), 2, diskWriters()[:2], io.Discard)
	must(t, err)
	for _, e := range entries {
		if len(e.Seconds) != 2 {
			t.Errorf("%s ran %d times, want 2", e.Name, len(e.Seconds))
		}
	}
	// What was written stays until all is measured.
	if left, err := os.ReadDir(dir); err != nil || len(left) != 4 {
		t.Errorf("%v are left, %v", left, err)
	}
	stopped, stop := context.WithCancel(t.Context())
	stop()
	if _, err := compareDisk(stopped, dir, small(3), 1, diskWriters()[:1], io.Discard); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v when stopped", err)
	}
}
