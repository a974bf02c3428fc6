package state

import (
	"encoding/binary"
	"encoding/hex"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// strace runs a part under strace(1) with more arguments, until the lines it
// says are read, and returns what it says, its errors included, and the calls.
func strace(t *testing.T, part, path string, args ...string) (said string, calls []string) {
	t.Helper()
	if _, err := exec.LookPath("strace"); err != nil {
		t.Skip("strace is not installed")
	}
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	log := filepath.Join(t.TempDir(), "trace")
	args = append([]string{"-f", "-qq", "-s", "300", "-y", "-o", log}, append(args, exe, path)...)
	cmd := exec.Command("strace", args...)
	cmd.Env = append(os.Environ(), partVariable+"="+part)
	out, _ := cmd.CombinedOutput()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Skipf("strace does not work here: %v, %s", err, out)
	}
	return string(out), joined(strings.Split(string(text), "\n"))
}

// joined puts the halves of calls together that another thread has come between.
// A call counts from when it has returned.
func joined(lines []string) (calls []string) {
	begun := map[string]string{}
	for _, line := range lines {
		pid, call, _ := strings.Cut(strings.TrimSpace(line), " ")
		call = strings.TrimSpace(call)
		if half, ok := strings.CutSuffix(call, " <unfinished ...>"); ok {
			begun[pid] = half
			continue
		}
		if strings.HasPrefix(call, "<... ") {
			_, rest, _ := strings.Cut(call, "resumed>")
			call = begun[pid] + rest
		}
		calls = append(calls, call)
	}
	return calls
}

// events turns system calls into "sync NAME", "rename OLD NEW", "link OLD NEW"
// and "remove NAME", with random parts of names cut off.
func events(calls []string, dir string) (list []string) {
	random := regexp.MustCompile(`(\.new-)[0-9a-f]+|(\.damaged-)[0-9TZ]+`)
	quoted := regexp.MustCompile(`"([^"]*)"`)
	fd := regexp.MustCompile(`^f(?:data)?sync\(\d+<([^>]*)>`)
	for _, call := range calls {
		if !strings.HasSuffix(call, " = 0") {
			continue
		}
		var words []string
		if m := fd.FindStringSubmatch(call); m != nil {
			words = []string{"sync", m[1]}
		} else if name, _, ok := strings.Cut(call, "("); ok {
			words = []string{strings.TrimSuffix(strings.TrimSuffix(name, "2"), "at")}
			for _, m := range quoted.FindAllStringSubmatch(call, -1) {
				words = append(words, m[1])
			}
		}
		for i := 1; i < len(words); i++ {
			words[i] = strings.TrimPrefix(strings.TrimPrefix(words[i], dir), "/")
		}
		list = append(list, random.ReplaceAllString(strings.Join(words, " "), "$1$2"))
	}
	return list
}

// wantOrder looks for events in an order, with any others between them.
func wantOrder(t *testing.T, have []string, want ...string) {
	t.Helper()
	rest := have
	for _, w := range want {
		at := slices.Index(rest, w)
		if at < 0 {
			t.Errorf("no %q in its place in\n%s", w, strings.Join(have, "\n"))
			return
		}
		rest = rest[at+1:]
	}
}

const traced = "-etrace=fsync,fdatasync,rename,renameat,renameat2,link,linkat,unlink,unlinkat"

// TestOrderOfSyncs: what a power cut would show in the end.
func TestOrderOfSyncs(t *testing.T) {
	path := newPath(t)
	dir := filepath.Dir(path)
	_, calls := strace(t, "once", path, traced)
	// The directory may be new too: its own entry has to survive before the file does.
	wantOrder(t, events(calls, dir),
		"sync "+strings.TrimPrefix(filepath.Dir(dir), "/"), "sync state.db.new-", "link state.db.new- state.db", "sync ", "unlink state.db.new-")

	path, _, _ = yesterday(t)
	dir = filepath.Dir(path)
	_, calls = strace(t, "compact", path, traced)
	wantOrder(t, events(calls, dir),
		"sync state.db.new-", "rename state.db.new- state.db", "sync ", "unlink state.db.new-")
	_, calls = strace(t, "restore", path, traced)
	wantOrder(t, events(calls, dir),
		"sync state.db.new-", "link state.db state.db.damaged-", "sync ",
		"rename state.db.new- state.db", "sync ", "unlink state.db.new-")
	_, calls = strace(t, "snapshot", path, traced)
	wantOrder(t, events(calls, dir),
		"sync state.db.bak.new-", "rename state.db.bak.new- state.db.bak", "sync ")

	// A process was killed between a rename and its sync.
	if err := os.WriteFile(path+".new-1", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, calls = strace(t, "once", path, traced)
	wantOrder(t, events(calls, dir), "sync ", "unlink state.db.new-")
	_, calls = strace(t, "once", path, traced)
	if got := events(calls, dir); len(got) > 0 {
		t.Errorf("an Open of a file that is there: %q", got)
	}
}

// TestDirectoryThatCannotBeSynced: a file whose name a power cut could take back
// is not used, neither by the process that put it there nor by the next one.
func TestDirectoryThatCannotBeSynced(t *testing.T) {
	for what, prepare := range map[string]func() (part, path string, want contents){
		"new":             func() (string, string, contents) { return "once", newPath(t), contents{} },
		"compact":         func() (string, string, contents) { path, _, want := yesterday(t); return "compact", path, want },
		"compact at open": func() (string, string, contents) { path, want := wasteful(t, 500); return "once", path, want },
		"restore":         func() (string, string, contents) { path, _, want := yesterday(t); return "restore", path, want },
	} {
		part, path, want := prepare()
		dir, when := filepath.Dir(path), ""
		if part == "restore" { // the first sync is of the name of the file that is kept
			when = ":when=2"
			want = readCopy(t, path+snapshotSuffix)
		}
		said, _ := strace(t, part, path, "-P", dir, "-etrace=fsync", "-einject=fsync:error=EIO"+when)
		if !strings.Contains(said, "input/output error") || !strings.Contains(said, path) {
			t.Errorf("%s: it said %q", what, said)
		}
		said, _ = strace(t, "once", path, "-P", dir, "-etrace=fsync", "-einject=fsync:error=EIO")
		if !strings.Contains(said, "input/output error") {
			t.Errorf("%s, and the next Open: it said %q", what, said)
		}
		wantContents(t, mustOpen(t, path), want)
		wantNoLeftovers(t, path)
	}
}

// TestNetworkFileSystemIsRefused has the kernel say that the directory is on NFS.
func TestNetworkFileSystemIsRefused(t *testing.T) {
	var fsType [8]byte
	binary.NativeEndian.PutUint64(fsType[:], unix.NFS_SUPER_MAGIC)
	inject := "-einject=statfs:poke_exit=@arg2=" + hex.EncodeToString(fsType[:])
	for _, part := range []string{"once", "compact", "restore"} {
		path, _, _ := yesterday(t)
		before := mustReadFile(t, path)
		said, calls := strace(t, part, path, "-etrace=statfs", inject)
		if len(calls) > 0 && !strings.Contains(strings.Join(calls, " "), "INJECTED") {
			t.Skipf("strace cannot change results here: %s", said)
		}
		for _, words := range []string{path, filepath.Dir(path) + " is on a network file system (NFS)", "choose a path on a local disk with state ="} {
			if !strings.Contains(said, words) {
				t.Errorf("%s: no %q in %q", part, words, said)
			}
		}
		if mustReadFile(t, path) != before {
			t.Errorf("%s: the file has changed", part)
		}
	}
}

func TestWhichFileSystemsAreRefused(t *testing.T) {
	for fsType, want := range map[uint32]string{
		unix.NFS_SUPER_MAGIC: "NFS", unix.SMB_SUPER_MAGIC: "SMB", 0xFF534D42: "SMB", 0xFE534D42: "SMB",
		0x5346414F: "AFS", 0x6B414653: "AFS", 0x73757245: "Coda", 0x01021997: "9P",
		unix.EXT4_SUPER_MAGIC: "", unix.XFS_SUPER_MAGIC: "", unix.BTRFS_SUPER_MAGIC: "", unix.TMPFS_MAGIC: "",
		unix.OVERLAYFS_SUPER_MAGIC: "", unix.FUSE_SUPER_MAGIC: "", 0x2FC12FC1: "", // ZFS
	} {
		if got := networkName(fsType); got != want {
			t.Errorf("%#x: %q, want %q", fsType, got, want)
		}
	}
	if err := checkPlace(t.TempDir()); err != nil {
		t.Error(err)
	}
	if err := checkPlace(filepath.Join(t.TempDir(), "missing")); !os.IsNotExist(err) {
		t.Error(err)
	}
}

// TestIntentsAreDurable: a process that was killed before the sync of its commit
// leaves intents that only the page cache has.
func TestIntentsAreDurable(t *testing.T) {
	path := newPath(t)
	s := mustOpen(t, path)
	put := entries(0, 3)
	mustCommit(t, s.Maildrop("me@host"), Change{Put: put})
	mustClose(t, s)
	_, calls := strace(t, "intents", path, traced)
	if got := events(calls, filepath.Dir(path)); len(got) > 0 {
		t.Errorf("no intent is open: %q", got)
	}

	s = mustOpen(t, path)
	put[1].Intent = &Intent{Kind: "maildir", Note: "x"}
	mustCommit(t, s.Maildrop("me@host"), Change{Put: put[1:2]})
	mustClose(t, s)
	_, calls = strace(t, "intents", path, traced)
	if got := events(calls, filepath.Dir(path)); !slices.Equal(got, []string{"sync state.db"}) {
		t.Errorf("an intent is open: %q", got)
	}
}
