package faultfs

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
)

func TestArmedOperationFailsAndNoOther(t *testing.T) {
	path := t.TempDir()
	run := func(f *FS) error {
		d, err := f.OpenDir(path)
		if err != nil {
			return err
		}
		defer d.Close()
		made, err := d.Create("x")
		if err != nil {
			return err
		}
		_, err = made.Write([]byte("text"))
		return errors.Join(err, made.Sync(), made.Close(), d.Remove("x"), d.Sync())
	}
	f := &FS{Name: func(op string) string { return op }}
	if err := run(f); err != nil {
		t.Fatal(err)
	}
	base := filepath.Base(path)
	all := []string{"open " + base, "create " + base + "/x", "write", "sync file", "close file", "remove " + base + "/x", "sync " + base}
	if !slices.Equal(f.Ops(), all) {
		t.Errorf("got %q, want %q", f.Ops(), all)
	}
	for n, op := range all {
		f.Arm(n, false)
		if err := run(f); !errors.Is(err, syscall.EIO) || f.Failed() != op || f.Count(op) != 1 {
			t.Errorf("operation %d: %v, failed %q, want %q", n, err, f.Failed(), op)
		}
		f.Disarm()
		os.Remove(filepath.Join(path, "x"))
	}
	f.Arm(len(all), true)
	if err := run(f); err != nil || f.Failed() != "" {
		t.Errorf("behind the last operation: %v, %q", err, f.Failed())
	}
}
