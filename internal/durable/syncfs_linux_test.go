package durable

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

func TestReleasesWithReliableSyncFS(t *testing.T) {
	for release, want := range map[string]bool{
		"5.16.20": false, "5.17.0": true, "5.17-rc1": true, "4.19.0-26-amd64": false, "6.1.0-13-amd64": true, "6.18": true,
		"5.17": true, "5.4": false, "10.0": true, "": false, "6": false, "x.y": false, "6.": false,
		"6.1.0\x00\x00\x00": true,
	} {
		if got := reportsErrors(release); got != want {
			t.Errorf("%q: %v", release, got)
		}
	}
}

// SyncFS works on the file systems of the list and declines on others, such as proc(5).
func TestSyncFS(t *testing.T) {
	at := t.TempDir()
	var host unix.Utsname
	var kind unix.Statfs_t
	if err := unix.Uname(&host); err != nil {
		t.Fatal(err)
	}
	if err := unix.Statfs(at, &kind); err != nil {
		t.Fatal(err)
	}
	d, err := OS{}.OpenDir(at)
	if err != nil {
		t.Fatal(err)
	}
	defer d.Close()
	if err := os.WriteFile(filepath.Join(at, "f"), []byte("x"), 0o600); err != nil {
		t.Fatal(err)
	}
	listed := false
	for _, k := range syncable {
		listed = listed || int64(kind.Type) == k
	}
	want := listed && reportsErrors(string(host.Release[:])) && unwritten() <= mostDirty
	if done, err := d.SyncFS(); err != nil || done != want {
		t.Errorf("%v, %v, want %v", done, err, want)
	}
	proc, err := OS{}.OpenDir("/proc")
	if err != nil {
		t.Fatal(err)
	}
	defer proc.Close()
	if done, err := proc.SyncFS(); err != nil || done {
		t.Errorf("/proc: %v, %v", done, err)
	}
}

func TestUnwritten(t *testing.T) {
	if n := unwritten(); n < 0 || n > 1<<45 {
		t.Errorf("%d octets", n)
	}
}
