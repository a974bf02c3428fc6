package maildir

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"popfetch/internal/durable"
)

func TestRootDeliversAsTheOwnerOfTheMaildir(t *testing.T) {
	if os.Geteuid() != 0 {
		return // others can only deliver as themselves
	}
	const bob = 12345
	home := filepath.Join(t.TempDir(), "bob")
	if err := os.Mkdir(home, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(home, bob, bob); err != nil {
		t.Fatal(err)
	}
	path := filepath.Join(home, "Mail", "in")
	deliverWithClaim(t, path, Claim{accountTag, storeOne})
	entries := 0
	err := filepath.WalkDir(home, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		entries++
		if st := info.Sys().(*syscall.Stat_t); st.Uid != bob || st.Gid != bob {
			t.Errorf("%s belongs to user %d, group %d", path, st.Uid, st.Gid)
		}
		return nil
	})
	if err != nil || entries != 8 { // home, Mail, in, its three parts, claim and message
		t.Errorf("%d entries, %v", entries, err)
	}
}

// noModes is a file system on which others may read everything.
type noModes struct{ durable.OS }

func (n noModes) OpenDir(path string) (durable.Dir, error) {
	dir, err := n.OS.OpenDir(path)
	return noModesDir{dir}, err
}

type noModesDir struct{ durable.Dir }

func (d noModesDir) Stat(name string) (durable.Info, error) {
	info, err := d.Dir.Stat(name)
	info.Private = false
	return info, err
}

func TestFileSystemWithoutModesIsSaidOnce(t *testing.T) {
	path := filepath.Join(t.TempDir(), "Mail")
	if err := makeParts(path); err != nil {
		t.Fatal(err)
	}
	for _, want := range []bool{true, false} {
		var log bytes.Buffer
		m := &Maildir{
			Path: path, Owner: "0123456789abcdef", Host: "here", Claim: Claim{accountTag, storeOne},
			Log: slog.New(slog.NewTextHandler(&log, nil)), fs: noModes{},
		}
		if err := m.Open(); err != nil {
			t.Fatal(err)
		}
		if !deliverOne(t, m) {
			t.Error("not delivered")
		}
		m.Close()
		if strings.Contains(log.String(), "no modes") != want {
			t.Errorf("logged %q", log.String())
		}
	}
}
