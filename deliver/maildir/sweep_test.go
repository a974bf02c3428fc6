package maildir

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"popfetch/deliver"
)

func TestSweepRemovesOnlyLeftovers(t *testing.T) {
	m, f := openMaildir(t)
	other := &Maildir{Path: m.Path, Owner: "fedcba9876543210", Host: "desk"}
	if err := other.Open(); err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	live := stage(t, m, "live")[0].(*staged).name
	theirs := stage(t, other, "theirs")[0].(*staged).name

	crashed := &Maildir{Path: m.Path, Owner: m.Owner, Host: "desk"} // an earlier process of ours
	if err := crashed.Open(); err != nil {
		t.Fatal(err)
	}
	group := stage(t, crashed, "named in an intent", "orphan")
	crashed.Close()
	named, orphan := group[0].(*staged).name, group[1].(*staged).name

	target := filepath.Join(t.TempDir(), "target")
	past := time.Now().Add(-37 * time.Hour)
	put := func(path string) {
		t.Helper()
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, past, past)); err != nil {
			t.Fatal(err)
		}
	}
	tmp := filepath.Join(m.Path, "tmp")
	put(target)
	put(filepath.Join(tmp, "stale"))
	put(filepath.Join(tmp, ".hidden"))
	put(filepath.Join(tmp, named))
	os.WriteFile(filepath.Join(tmp, "fresh"), nil, 0o600)
	os.Mkdir(filepath.Join(tmp, "dir"), 0o700)
	os.Chtimes(filepath.Join(tmp, "dir"), past, past)
	os.Symlink(target, filepath.Join(tmp, "link"))

	open := []deliver.Intent{group[0].Intent(), {Kind: "mda", Note: "?"}}
	f.Fail = func(_ int, op string) error {
		if op == "stat tmp/fresh" {
			return syscall.EIO
		}
		return nil
	}
	if err := m.Sweep(open); !errors.Is(err, syscall.EIO) {
		t.Errorf("a failed stat is not reported: %v", err)
	}
	f.Fail = nil
	if err := m.Sweep(open); err != nil {
		t.Errorf("second sweep: %v", err)
	}
	want := []string{".hidden", "dir", "fresh", "link", live, named, theirs}
	slices.Sort(want)
	if got := list(t, m, "tmp"); !slices.Equal(got, want) {
		t.Errorf("tmp has %q, want %q (orphan %q)", got, want, orphan)
	}
	if _, err := os.Stat(target); err != nil {
		t.Error(err)
	}
}

func TestSweepRemovesNothingWhenAnIntentIsUnreadable(t *testing.T) {
	m, _ := openMaildir(t)
	stage(t, m, "text")
	m.Close()
	if err := m.Open(); err != nil {
		t.Fatal(err)
	}
	if err := m.Sweep([]deliver.Intent{{Kind: Kind, Note: "{"}}); err == nil {
		t.Error("no error")
	}
	if got := list(t, m, "tmp"); len(got) != 1 {
		t.Errorf("tmp has %q", got)
	}
}

// Files of other programs stay for the 36 hours of the Maildir page: a slow delivery
// of theirs must not lose its file.
func TestSweepKeepsFilesOfOthersFor36Hours(t *testing.T) {
	m, _ := openMaildir(t)
	for name, age := range map[string]time.Duration{
		"now": 0, "37-minutes": 37 * time.Minute, "35-hours": 35 * time.Hour, "37-hours": 37 * time.Hour,
	} {
		path, when := filepath.Join(m.Path, "tmp", name), time.Now().Add(-age)
		if err := errors.Join(os.WriteFile(path, nil, 0o600), os.Chtimes(path, when, when)); err != nil {
			t.Fatal(err)
		}
	}
	if err := m.Sweep(nil); err != nil {
		t.Fatal(err)
	}
	want := []string{"35-hours", "37-minutes", "now"}
	if got := list(t, m, "tmp"); !slices.Equal(got, want) {
		t.Errorf("tmp has %q, want %q", got, want)
	}
}
