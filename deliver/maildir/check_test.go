package maildir

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"popfetch/deliver"
)

// Check finds what Open would find, and leaves no trace.
func TestCheckFindsWhatOpenFindsAndChangesNothing(t *testing.T) {
	for name, x := range map[string]struct {
		make   []string // directories; with "=" before the name a file
		exists bool
		ok     bool
	}{
		"missing":            {nil, false, true},
		"an empty directory": {[]string{"box"}, false, true},
		"a Maildir":          {[]string{"box/tmp", "box/new", "box/cur"}, true, true},
		"half a Maildir":     {[]string{"box/tmp"}, false, true},
		"other things in it": {[]string{"box/letters"}, false, false},
		"a file":             {[]string{"=box"}, false, false},
		"a file above":       {[]string{"=above"}, false, false},
		"a file as tmp":      {[]string{"box/new", "box/cur", "=box/tmp"}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			for _, m := range x.make {
				var err error
				if file, ok := strings.CutPrefix(m, "="); ok {
					err = os.WriteFile(filepath.Join(dir, file), nil, 0o600)
				} else {
					err = os.MkdirAll(filepath.Join(dir, m), 0o700)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			path := filepath.Join(dir, "box")
			if name == "a file above" {
				path = filepath.Join(dir, "above", "box")
			}
			m := &Maildir{Path: path, Owner: "0123456789abcdef"}
			before := namesBelow(t, dir)
			exists, err := m.Check()
			if exists != x.exists || (err == nil) != x.ok {
				t.Errorf("exists %v, %v; want %v, %v", exists, err, x.exists, x.ok)
			}
			if place := new(deliver.Error); err != nil && (!errors.As(err, &place) || place.Scope != deliver.Place) {
				t.Errorf("%#v is not an error of the place", err)
			}
			if after := namesBelow(t, dir); after != before {
				t.Errorf("before %q, after %q", before, after)
			}
			if err := m.Open(); (err == nil) != x.ok {
				t.Errorf("Open says %v", err)
			}
			m.Close()
		})
	}
}

// namesBelow lists everything below dir.
func namesBelow(t *testing.T, dir string) (names string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, _ fs.DirEntry, err error) error {
		names += path + " "
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}
